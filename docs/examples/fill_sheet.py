"""Stands in for people: fills a rating sheet with the ratings that the pool has already."""

import csv
import json
import sys

sheet, pool = sys.argv[1:]
with open(pool, encoding="utf-8") as lines:
    ratings = {row["id"]: row["rating"] for row in map(json.loads, lines)}
with open(sheet, encoding="utf-8-sig", newline="") as file:
    rows = list(csv.reader(file))
head = next(row for row in rows if "rating" in row and "id" in row)
for row in rows[rows.index(head) + 1 :]:
    row[head.index("rating")] = ratings[row[head.index("id")]]
with open(sheet, "w", encoding="utf-8-sig", newline="") as file:
    csv.writer(file).writerows(rows)
