"""Stands in for people: fills a column of a sheet with what the pool knows already.

python fill.py SHEET COLUMN POOL KEY: into COLUMN of the rows of SHEET goes KEY of their items.
"""

import csv
import json
import sys

sheet, column, pool, key = sys.argv[1:]
with open(pool, encoding="utf-8") as lines:
    known = {row["id"]: row[key] for row in map(json.loads, lines)}
with open(sheet, encoding="utf-8-sig", newline="") as file:
    rows = list(csv.reader(file))
head = next(row for row in rows if column in row and "id" in row)
for row in rows[rows.index(head) + 1 :]:
    row[head.index(column)] = known[row[head.index("id")]]
with open(sheet, "w", encoding="utf-8-sig", newline="") as file:
    csv.writer(file).writerows(rows)
