// The picks of a selection beside their rivals: filters, whose state is the URL's fragment.

const [P_ID, P_INSTRUCTION, P_INPUT, P_LENGTH, P_CLUSTER, P_BY, P_FILLED, P_RANK, P_SCORE, P_REASON, P_RIVALS] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10];
const FIRST = 8;
const PAGE = 20;
const FEW = 4; // rivals that are shown at once
const FIELDS = { sort: "file", which: "", by: "", text: "", among: "", cluster: "", pick: "" };
const SORTS = [["file", "as in the file"], ["rank", "best rank first"], ["score", "highest score first"], ["unscore", "lowest score first"], ["long", "longest first"], ["short", "shortest first"]];
const KINDS = {
  chosen: ["that somebody chose", (pick) => pick[P_RANK] !== null && !pick[P_FILLED]],
  reason: ["with a reason", (pick) => pick[P_REASON] !== null],
  filled: ["chosen at random", (pick) => pick[P_FILLED] === 1],
  whole: ["taken with their whole cluster", (pick) => pick[P_RANK] === null && !pick[P_FILLED]],
};

function readPicksState() {
  const said = new URLSearchParams(location.hash.slice(1));
  return Object.fromEntries(Object.entries(FIELDS).map(([name, otherwise]) => [name, said.get(name) ?? otherwise]));
}

function picksFragment(state) {
  return `#${new URLSearchParams(Object.entries(state).filter(([name, value]) => value !== FIELDS[name]))}`;
}

/** Numbers of the picks that the state asks for, in its order. */
function foundPicks(data, state) {
  const all = data.picks.map((_, number) => number);
  if (state.pick) return all.filter((number) => data.picks[number][P_ID] === state.pick);
  const words = state.text.toLowerCase();
  const kind = KINDS[state.which]?.[1] ?? (() => true);
  const fits = (pick) => kind(pick) && (!state.by || data.by[pick[P_BY]] === state.by) &&
    (!state.cluster || String(pick[P_CLUSTER]) === state.cluster) && (!words || mentionedIn(data, pick, words, state.among));
  const last = (value) => value ?? Infinity;
  const order = {
    rank: (x, y) => last(x[P_RANK]) - last(y[P_RANK]) || x[P_CLUSTER] - y[P_CLUSTER],
    score: (x, y) => last(y[P_SCORE] ?? -Infinity) - last(x[P_SCORE] ?? -Infinity) || 0,
    unscore: (x, y) => last(x[P_SCORE]) - last(y[P_SCORE]) || 0,
    long: (x, y) => y[P_LENGTH] - x[P_LENGTH],
    short: (x, y) => x[P_LENGTH] - y[P_LENGTH],
  }[state.sort] ?? (() => 0);
  return all.filter((number) => fits(data.picks[number])).sort((x, y) => order(data.picks[x], data.picks[y]) || x - y);
}

function mentionedIn(data, pick, words, among) {
  const own = [pick[P_ID], pick[P_INSTRUCTION], pick[P_INPUT], pick[P_REASON] ?? ""].join("\n");
  if (own.toLowerCase().includes(words)) return true;
  return among === "rivals" && pick[P_RIVALS] !== null && data.rivals[pick[P_RIVALS]][2].some(([id, text]) => `${id}\n${text}`.toLowerCase().includes(words));
}

/** Fill the place of the explorer. */
function opened(data, place) {
  let state = readPicksState();
  let many = FIRST;
  const status = h("p", { class: "note", role: "status" });
  const list = h("div", { id: "list" });
  const tools = h("form", { class: "tools", "aria-label": "which picks are shown", submit: (event) => event.preventDefault() });
  const show = () => {
    const numbers = foundPicks(data, state);
    const rest = numbers.length - many;
    status.textContent = state.pick
      ? (numbers.length ? "Only one pick is shown." : `${state.pick} is not among these picks.`)
      : `${numbers.length.toLocaleString("en")} of ${data.picks.length.toLocaleString("en")} picks.`;
    list.replaceChildren(...numbers.slice(0, many).map((number) => pickOf(data, number)));
    if (rest > 0) list.append(h("button", { type: "button", click: () => { many += PAGE; show(); } }, `Show ${Math.min(rest, PAGE)} more of ${rest.toLocaleString("en")}`));
    if (state.pick) list.append(h("button", { type: "button", click: () => change({ pick: "" }) }, "Show all picks"));
  };
  const change = (part, name) => {
    state = { ...state, pick: "", ...part };
    many = FIRST;
    history.replaceState(null, "", picksFragment(state));
    tools.replaceChildren(...picksControls(data, state, change));
    if (name) tools.querySelector(`[name=${name}]`).focus();
    show();
  };
  tools.append(...picksControls(data, state, change));
  place.append(tools, status, list);
  place.hidden = false;
  show();
  window.addEventListener("hashchange", () => {
    if (picksFragment(state) === location.hash || document.getElementById(location.hash.slice(1))) return;
    state = readPicksState();
    tools.replaceChildren(...picksControls(data, state, change));
    show();
    if (state.pick) list.scrollIntoView();
  });
  if (state.pick) list.scrollIntoView();
}

function picksControls(data, state, change) {
  const choose = (label, name, options) => h("label", {}, label,
    h("select", { name, change: (event) => change({ [name]: event.target.value }, name) },
      ...options.map(([value, text]) => h("option", { value, selected: value === state[name] }, stranger(text)))));
  const write = (label, name) => h("label", {}, label, h("input", { type: "search", name, value: state[name], change: (event) => change({ [name]: event.target.value.trim() }) }));
  const kinds = Object.entries(KINDS).filter(([, [, fits]]) => data.picks.some(fits)).map(([name, [text]]) => [name, text]);
  const compared = data.rivals.length > 0;
  return [
    choose("order", "sort", SORTS),
    kinds.length > 1 ? choose("only picks", "which", [["", "any"], ...kinds]) : null,
    data.by.length > 1 ? choose("selected by", "by", [["", "any"], ...data.by.map((name) => [name, name])]) : null,
    compared ? write("cluster", "cluster") : null,
    write("text or reason", "text"),
    compared ? h("label", { class: "tick" }, h("input", { type: "checkbox", name: "among", checked: state.among === "rivals", change: (event) => change({ among: event.target.checked ? "rivals" : "" }, "among") }), "find in rivals as well") : null,
  ].filter((each) => each !== null);
}

function pickOf(data, number) {
  const pick = data.picks[number];
  const rivals = pick[P_RIVALS] === null ? null : data.rivals[pick[P_RIVALS]];
  const place = rivals === null ? "" : ` of cluster ${pick[P_CLUSTER]}`;
  const title = pick[P_FILLED] ? `Chosen at random${rivals === null ? "" : ` in cluster ${pick[P_CLUSTER]}`}`
    : pick[P_RANK] === null ? `Taken with all of cluster ${pick[P_CLUSTER]}` : `Rank ${pick[P_RANK].toLocaleString("en")}${place}`;
  const link = picksFragment({ ...FIELDS, pick: pick[P_ID] });
  return h("article", { class: "case", "aria-label": `pick ${pick[P_ID]}` },
    h("header", {}, h("h3", {}, title), h("span", {}, h("span", { class: "side" }, stranger(pick[P_ID])), pick[P_SCORE] === null ? "" : `, score ${Number(pick[P_SCORE].toPrecision(6))}`),
      h("a", { href: link }, "link to this pick", h("span", { class: "aside" }, `: ${pick[P_ID]}`))),
    h("div", { class: rivals === null ? "one" : "two" }, chosenOf(data, pick), rivals === null ? null : rivalsOf(data, rivals)));
}

function chosenOf(data, pick) {
  const shown = pick[P_INSTRUCTION].length + pick[P_INPUT].length;
  const cut = pick[P_LENGTH] > shown + 2;
  const why = pick[P_REASON] !== null ? h("p", { class: "why" }, stranger(pick[P_REASON])) : null;
  return h("div", {}, h("p", { class: "side" }, "picked", data.by.length > 1 ? h("span", {}, " by ", stranger(data.by[pick[P_BY]])) : null, `, ${pick[P_LENGTH].toLocaleString("en")} characters`, cut ? ", of which the beginning is shown" : ""),
    h("div", { class: "text only" }, stranger(pick[P_INSTRUCTION]), cut && !pick[P_INPUT] ? "\u2026" : ""),
    pick[P_INPUT] ? h("pre", { tabindex: 0 }, stranger(pick[P_INPUT]), cut ? "\u2026" : "") : null, why);
}

function rivalsOf(data, [cluster, , rivals]) {
  const line = ([id, text]) => h("li", { class: "rival" }, h("span", { class: "text" }, text ? stranger(text) : h("span", { class: "side" }, stranger(id))));
  const rest = rivals.slice(FEW);
  return h("div", {}, h("p", { class: "side" }, rivals.length ? `not picked in cluster ${cluster}: ${rivals.length}` : `every candidate of cluster ${cluster} was picked`),
    h("ul", { class: "picks" }, ...rivals.slice(0, FEW).map(line)),
    rest.length ? later(`${rest.length} more rivals`, () => h("ul", { class: "picks" }, ...rest.map(line))) : null);
}
