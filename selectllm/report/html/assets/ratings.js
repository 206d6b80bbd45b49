// Ratings in the page: items that A and B treat differently, arms hidden, saved as a sheet.

const given = new Map(); // by item id: what the rater chose; kept while filters change

/** Offer to rate what two arms differ in; `place` holds the sheet once it is opened. */
function offerRating(cases, state, place) {
  place.replaceChildren();
  if (cases.asked === null || state.a === state.b) return;
  const items = itemsToRate(cases, state.a, state.b);
  if (!items.length) return;
  place.append(later(`Rate the ${items.length} items in which A and B differ`, () => sheetOf(cases, items)));
}

/** Every differing item once, in an order that tells nothing of arms, clusters or the pool. */
function itemsToRate(cases, a, b) {
  const numbers = new Set(cases.clusters.flatMap((_, cluster) => cases.differing(cluster, a, b)));
  const key = (number) => [...cases.items[number][0]].reduce((sum, letter) => Math.imul(sum ^ letter.codePointAt(0), 16777619), 2166136261) >>> 0;
  const keys = new Map([...numbers].map((number) => [number, key(number)]));
  return [...numbers].sort((x, y) => keys.get(x) - keys.get(y) || x - y);
}

function sheetOf(cases, items) {
  const rater = h("input", { type: "text", name: "rater", autocomplete: "off" });
  const done = h("p", { class: "note", role: "status" });
  const count = () => { done.textContent = `${items.filter((item) => given.has(cases.items[item][0])).length} of ${items.length} rated.`; };
  const save = () => saveFile(`${cases.asked.suite.replace(/[^\w.-]+/g, "-")}-ratings.csv`, sheetText(cases, items, rater.value.trim()));
  let many = PAGE;
  const list = h("div", {});
  const show = () => {
    const shown = items.slice(list.childElementCount, many);
    list.append(...shown.map((item) => ratedItem(cases, item, count)));
    more.hidden = many >= items.length;
  };
  const more = h("button", { type: "button", click: () => { many += PAGE; show(); } }, "Show more items");
  show();
  count();
  return h("div", {}, h("pre", { tabindex: 0 }, cases.asked.rubric),
    h("p", {}, h("label", {}, "Your name ", rater)), list, h("p", {}, more), done,
    h("p", {}, h("button", { type: "button", id: "save", click: save }, "Save the sheet")),
    h("p", { class: "note" }, "Then run: selectllm utility import SHEET.csv (with --partial if items are left without a rating), and name the file that it writes in the suite."));
}

function ratedItem(cases, number, count) {
  const [id, instruction, input] = cases.items[number];
  const choose = (event) => { given.set(id, event.target.value); count(); };
  return h("div", { class: "rate" }, h("p", { class: "text" }, stranger(instruction)), input ? h("pre", { tabindex: 0 }, stranger(input)) : null,
    h("fieldset", { class: "scale" }, h("legend", { class: "side" }, "Rating"), ...scaleOf(cases.asked.range).map((value) => h("label", {},
      h("input", { type: "radio", name: `rating-${number}`, value, checked: given.get(id) === String(value), change: choose }), String(value)))));
}

/** The values of the rubric's scale: whole numbers of a short one, else eleven steps. */
function scaleOf([low, high]) {
  const whole = Number.isInteger(low) && Number.isInteger(high) && high - low <= 10;
  const steps = whole ? high - low : 10;
  return Array.from({ length: steps + 1 }, (_, step) => Number((low + ((high - low) * step) / steps).toPrecision(6)));
}

/** The sheet that `selectllm utility import` reads, with all that was asked in it. */
function sheetText(cases, items, rater) {
  const { suite, pool_sha256, range, rubric, how_to_fill, mark } = cases.asked;
  const asked = JSON.stringify({ suite, pool_sha256, range, differing: true });
  const comments = [...rubric.split("\n"), how_to_fill, mark + asked].map((line) => [`# ${line}`]);
  const rows = items.map((number) => {
    const [id, instruction, input] = cases.items[number];
    return [rater, id, instruction, input, given.get(id) ?? "", ""].map(disarmed);
  });
  const lines = [...comments, ["rater", "id", "instruction", "input", "rating", "comment"], ...rows];
  return `\ufeff${lines.map((cells) => cells.map(quoted).join(",")).join("\r\n")}\r\n`;
}

/** A cell behind an apostrophe if a spreadsheet would take it for a formula. */
function disarmed(text) { return /^'*[=+\-@\t\r\n]/.test(text) ? `'${text}` : text; }

function quoted(text) { return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text; }

function saveFile(name, text) {
  const url = URL.createObjectURL(new Blob([text], { type: "text/csv;charset=utf-8" }));
  const link = h("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}
