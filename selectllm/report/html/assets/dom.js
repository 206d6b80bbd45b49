// Elements. Whatever a pool or a model wrote becomes text nodes, never markup.

const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\u{e0000}-\u{e007f}\ud800-\udfff]/gu;

/** An element with attributes (functions become listeners) and children: nodes or texts. */
function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** Text of a stranger as nodes: characters that hide, or that turn the writing round, are shown. */
function stranger(text) {
  const nodes = document.createDocumentFragment();
  let at = 0;
  for (const found of text.matchAll(CONTROL)) {
    nodes.append(text.slice(at, found.index), h("span", { class: "ctl" }, codeOf(found[0])));
    at = found.index + found[0].length;
  }
  nodes.append(text.slice(at));
  return nodes;
}

function codeOf(character) {
  return `U+${character.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
}

/** A table under a head of texts; rows hold nodes or texts, the first of which names the row. */
function tableOf(label, head, rows) {
  const cells = (row) => row.map((cell, n) => (n ? h("td", {}, cell) : h("th", { scope: "row" }, cell)));
  return h("div", { class: "wide", tabindex: 0, role: "region", "aria-label": label }, h("table", {},
    h("thead", {}, h("tr", {}, ...head.map((cell) => h("th", { scope: "col" }, cell)))),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...cells(row))))));
}

/** A part that is made when it is first opened. */
function later(summary, make) {
  const details = h("details", {}, h("summary", {}, summary));
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(make());
  });
  return details;
}

function two(number) {
  return number === null || number === undefined ? "-" : Number(number.toFixed(2)).toString();
}
