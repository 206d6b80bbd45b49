// The cluster explorer: filters, whose state is the URL's fragment, and a list of cases.

const FIRST = 5;
const PAGE = 20;
const LOSSES = [["", "any"], ["0.25", "0.25 or more"], ["0.5", "0.5 or more"], ["0.75", "0.75 or more"]];
const SORTS = [["worse", "worst change first"], ["lost", "most lost by B first"], ["id", "by number"]];

/** What is asked for, as the fragment says it; names stand for arms, so that links outlive a run. */
function readState(cases) {
  const said = new URLSearchParams(location.hash.slice(1));
  const arm = (name, otherwise) => { const at = cases.arms.indexOf(said.get(name)); return at < 0 ? otherwise : at; };
  return {
    a: arm("a", cases.reference), b: arm("b", cases.judged), of: arm("of", null),
    status: said.get("status") ?? "", model: said.get("model") ?? "", lost: said.get("lost") ?? "",
    sort: said.get("sort") ?? "worse", same: said.get("same") === "yes", text: said.get("text") ?? "",
    cluster: said.has("cluster") ? Number(said.get("cluster")) : null,
  };
}

function fragmentOf(cases, state) {
  const said = new URLSearchParams();
  if (cases.run) said.set("run", cases.run);
  if (state.cluster !== null) said.set("cluster", state.cluster);
  if (state.a !== cases.reference) said.set("a", cases.arms[state.a]);
  if (state.b !== cases.judged) said.set("b", cases.arms[state.b]);
  if (state.of !== null) said.set("of", cases.arms[state.of]);
  for (const name of ["status", "model", "lost", "text"]) if (state[name]) said.set(name, state[name]);
  if (state.sort !== "worse") said.set("sort", state.sort);
  if (state.same) said.set("same", "yes");
  return `#${said}`;
}

/** The clusters that the state asks for, in its order. */
function found(cases, state) {
  const all = cases.clusters.map((_, number) => number);
  if (state.cluster !== null) return all.filter((number) => cases.id(number) === state.cluster);
  const { a, b } = state;
  const order = {
    worse: (x, y) => cases.change(y, a, b) - cases.change(x, a, b),
    lost: (x, y) => (cases.lost(y, b) ?? -1) - (cases.lost(x, b) ?? -1),
    id: () => 0,
  }[state.sort] ?? (() => 0);
  const words = state.text.toLowerCase();
  return all.filter((number) => fits(cases, state, number) && (!words || mentions(cases, number, words)))
    .sort((x, y) => order(x, y) || cases.id(x) - cases.id(y));
}

/** Whether a cluster has a decision as it is asked for, and the two arms differ if they have to. */
function fits(cases, state, number) {
  if (!state.same && state.a !== state.b && !cases.differing(number, state.a, state.b).length) return false;
  const asked = state.of === null ? cases.arms.keys() : [state.of];
  return [...asked].some((arm) =>
    (!state.model || cases.models[arm] === state.model) &&
    (!state.lost || (cases.lost(number, arm) ?? -1) >= Number(state.lost)) &&
    (state.status ? cases.ofCluster[number][arm].some((choice) => choice[C_STATUS] === state.status) : true));
}

function mentions(cases, number, words) {
  return cases.members(number).some((item) => {
    const [id, instruction, input] = cases.items[item];
    return `${id}\n${instruction}\n${input}`.toLowerCase().includes(words);
  });
}

/** The cases in `place`, until `signal` says that others take their place. */
function explore(cases, place, signal) {
  let state = readState(cases);
  let many = FIRST;
  const status = h("p", { class: "note", role: "status" });
  const list = h("div", { id: "list" });
  const rating = h("div", { id: "rating" });
  const show = () => {
    const clusters = found(cases, state);
    status.textContent = saidOf(cases, state, clusters.length);
    const rest = clusters.length - many;
    list.replaceChildren(...clusters.slice(0, many).map((number) => caseOf(cases, state, number)));
    if (rest > 0) list.append(h("button", { type: "button", click: () => { many += PAGE; show(); } }, `Show ${Math.min(rest, PAGE)} more of ${rest}`));
    if (state.cluster !== null) list.append(h("button", { type: "button", click: () => change({ cluster: null }) }, "Show all cases"));
  };
  const change = (part) => {
    state = { ...state, cluster: null, ...part };
    many = FIRST;
    history.replaceState(null, "", fragmentOf(cases, state));
    tools.replaceChildren(...controls(cases, state, change));
    offerRating(cases, state, rating);
    show();
  };
  const tools = h("form", { class: "tools", "aria-label": "which cases are shown", submit: (event) => event.preventDefault() });
  tools.append(...controls(cases, state, change));
  place.append(tools, status, list, rating);
  offerRating(cases, state, rating);
  show();
  window.addEventListener("hashchange", () => {
    if (fragmentOf(cases, state) === location.hash || isPlace() || runAsked() !== (cases.run ?? null)) return;
    state = readState(cases);
    tools.replaceChildren(...controls(cases, state, change));
    show();
    if (state.cluster !== null) list.scrollIntoView();
  }, { signal });
  if (state.cluster !== null) list.scrollIntoView();
}

function saidOf(cases, state, count) {
  const all = `${count} of ${cases.clusters.length} clusters`;
  if (state.cluster !== null) return count ? `Cluster ${state.cluster} alone.` : `There is no cluster ${state.cluster} in this run.`;
  if (state.same || state.a === state.b) return `${all}.`;
  return `${all}: where the picks of A and B differ.${count ? "" : " To see the others, tick the box."}`;
}

function controls(cases, state, change) {
  const arms = cases.arms.map((name, number) => [String(number), name]);
  const models = [...new Set(cases.models.filter(Boolean))];
  const pick = (label, name, options, read = (value) => value) => h("label", {}, label,
    h("select", { name, change: (event) => { change({ [name]: read(event.target.value) }); document.querySelector(`.tools [name=${name}]`).focus(); } },
      ...options.map(([value, text]) => h("option", { value, selected: value === String(state[name] ?? "") }, stranger(text)))));
  return [
    pick("A", "a", arms, Number),
    pick("B", "b", arms, Number),
    pick("order", "sort", SORTS),
    pick("with a decision of", "of", [["", "any arm"], ...arms], (value) => (value === "" ? null : Number(value))),
    pick("of model", "model", [["", "any"], ...models.map((name) => [name, name])]),
    pick("with status", "status", [["", "any"], ...cases.statuses.map((name) => [name, name])]),
    pick("that lost", "lost", LOSSES),
    h("label", {}, "text of an item", h("input", { type: "search", name: "text", value: state.text, change: (event) => change({ text: event.target.value }) })),
    h("label", { class: "tick" }, h("input", { type: "checkbox", name: "same", checked: state.same, change: (event) => { change({ same: event.target.checked }); document.querySelector(".tools [name=same]").focus(); } }), "also where A and B pick the same"),
  ];
}

function caseOf(cases, state, number) {
  const id = cases.id(number);
  const link = fragmentOf(cases, { ...state, cluster: id, status: "", model: "", lost: "", text: "", of: null, sort: "worse", same: false });
  const arms = state.a === state.b ? [state.a] : [state.a, state.b];
  const group = cases.clusters[number][1];
  return h("article", { class: "case", "aria-label": `cluster ${id}` },
    h("header", {}, h("h3", {}, `Cluster ${id}`, group === null ? "" : h("span", {}, " of ", stranger(group))), h("span", {}, changeOf(cases, state, number)),
      h("a", { href: link }, "link to this case", h("span", { class: "aside" }, `: cluster ${id}`))),
    h("div", { class: arms.length > 1 ? "two" : "one" }, ...arms.map((arm, at) => sideOf(cases, number, arm, arms[1 - at], "AB"[at]))),
    later("All candidates, and who picked them", () => candidatesOf(cases, number)),
    later("The rendered prompts", () => promptsOf(cases, number, arms)),
    later("Every reply with every attempt", () => repliesOf(cases, number)));
}

function changeOf(cases, state, number) {
  const said = (arm) => { const lost = cases.lost(number, arm); return lost === null ? "unknown" : lost === 0 ? "nothing" : two(lost); };
  if (cases.lost(number, state.a) === null && cases.lost(number, state.b) === null) return "";
  return state.a === state.b ? `lost ${said(state.a)}` : `A lost ${said(state.a)} here, B ${said(state.b)}`;
}

/** What one arm picked of a cluster, by order; what only this one picked stands out. */
function sideOf(cases, number, arm, other, letter) {
  const choices = cases.ofCluster[number][arm];
  const theirs = other === undefined ? new Map() : cases.chances(number, other);
  const parts = choices.map((choice) => {
    const why = cases.reasons(choice);
    const picks = choice[C_PICKS].map((slot) => {
      const item = cases.shown(choice)[slot];
      return h("li", { class: theirs.get(item) === 1 ? "" : "only" }, h("span", {}, `[${cases.label(choice, slot)}]`),
        h("span", { class: "text" }, shortText(cases.items[item])), h("span", { class: "u" }, two(cases.value(item))));
    });
    return h("div", {}, choices.length > 1 ? h("p", { class: "side" }, `order ${cases.showings[choice[C_SHOWING]][1] + 1}, repeat ${choice[C_REPEAT] + 1}`) : null,
      choice[C_STATUS] === "ok" ? null : h("p", { class: "side" }, statusOf(choice)),
      picks.length ? h("ul", { class: "picks" }, ...picks) : h("p", { class: "note" }, "No pick."),
      why ? h("p", { class: "why" }, stranger(why)) : null);
  });
  return h("div", {}, h("p", { class: "side" }, `${letter}: `, stranger(cases.arms[arm]), " picked"), ...(parts.length ? parts : [h("p", { class: "note" }, "It was not asked here.")]));
}

function statusOf(choice) {
  const odd = ["ok", "repaired"].includes(choice[C_STATUS]) ? "tag" : "tag odd";
  return h("span", {}, h("span", { class: odd }, choice[C_STATUS]), choice[C_PROBLEMS].length ? h("span", {}, " ", stranger(choice[C_PROBLEMS].join(", ").replaceAll("_", " "))) : null);
}

function shortText([id, instruction, input]) {
  const text = instruction || id;
  const cut = text.length > 280 ? `${text.slice(0, 280)}\u2026` : text;
  return h("span", {}, stranger(cut), input ? h("small", {}, " with an input") : null);
}

function candidatesOf(cases, number) {
  const pickers = (item) => cases.arms.flatMap((name, arm) => {
    const share = cases.ofCluster[number][arm].filter((choice) => cases.picked(choice).includes(item)).length;
    return share ? [h("div", {}, stranger(name), cases.ofCluster[number][arm].length > 1 ? ` (${share} of ${cases.ofCluster[number][arm].length})` : "")] : [];
  });
  const rows = cases.members(number).map((item) => {
    const [id, instruction, input, values] = cases.items[item];
    const text = h("span", { class: "text" }, stranger(instruction), input ? h("span", {}, "\n\n", stranger(input)) : null);
    return [stranger(id), text, ...values.map(two), h("div", {}, ...pickers(item))];
  });
  return tableOf(`candidates of cluster ${cases.id(number)}`, ["item", "text", ...cases.utilities.map(stranger), "picked by"], rows);
}

function promptsOf(cases, number, arms) {
  const made = arms.flatMap((arm) => cases.ofCluster[number][arm].slice(0, 1).map((choice) => {
    const messages = cases.rendered(choice);
    return h("div", {}, h("h4", {}, stranger(cases.arms[arm])), ...(messages === null
      ? [h("p", { class: "note" }, cases.models[arm] === null ? "A strategy has no prompt." : "This prompt cannot be shown; see above why.")]
      : messages.map(([role, text]) => h("div", {}, h("p", { class: "side" }, role), h("pre", { tabindex: 0 }, stranger(text))))));
  }));
  return h("div", {}, ...made);
}

function repliesOf(cases, number) {
  const asked = cases.ofCluster[number].flat().filter((choice) => choice[C_ATTEMPTS].length);
  const attempt = (choice) => ([reply, finish, tokensIn, tokensOut, cost, failed, slots], at) => h("div", {},
    h("p", { class: "side" }, `attempt ${at + 1}: ${failed === null ? finish : `failed (${failed})`}, ${tokensIn ?? "?"} tokens in, ${tokensOut ?? "?"} out${cost ? `, ${cost} USD` : ""}`),
    slots ? h("p", { class: "side" }, "shown, in this order: ", ...slots.flatMap((slot, n) => [n ? ", " : "", stranger(cases.items[cases.shown(choice)[slot]][0])])) : null,
    h("pre", { tabindex: 0 }, stranger(cases.replies[reply] || "(empty)")));
  return h("div", {}, ...(asked.length ? asked.map((choice) => h("div", {},
    h("h4", {}, stranger(cases.arms[choice[C_ARM]]), ` (order ${cases.showings[choice[C_SHOWING]][1] + 1}) `, statusOf(choice)), ...choice[C_ATTEMPTS].map(attempt(choice)))) : [h("p", { class: "note" }, "No model was asked.")]));
}
