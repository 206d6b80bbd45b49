// The runs of a page: one at a time is looked into, and the URL's fragment names it.

/** Whether the fragment names a place of the page rather than cases. */
function isPlace() { return document.getElementById(location.hash.slice(1)) !== null; }

/** The run that the fragment asks for; null: the first. */
function runAsked() { return new URLSearchParams(location.hash.slice(1)).get("run"); }

/** The cases of a run, and above them which run it is, where there are several. */
function exploreRuns(runs, place) {
  const numberAsked = () => Math.max(0, runs.findIndex((run) => run.name === runAsked()));
  const inner = h("div", {});
  let [shown, others] = [null, new AbortController()];
  const show = (number) => {
    others.abort();
    others = new AbortController();
    shown = number;
    chosen.value = String(number);
    inner.replaceChildren();
    explore(new Cases({ ...runs[number], run: number ? runs[number].name : null }), inner, others.signal);
  };
  const choose = (event) => {
    const number = Number(event.target.value);
    history.replaceState(null, "", number ? `#${new URLSearchParams({ run: runs[number].name })}` : "#");
    show(number);
  };
  const chosen = h("select", { name: "run", change: choose }, ...runs.map((run, number) => h("option", { value: number }, stranger(run.name))));
  if (runs.length > 1) place.append(h("p", { class: "tools" }, h("label", {}, "run", chosen)));
  place.append(inner);
  place.hidden = false;
  window.addEventListener("hashchange", () => { if (!isPlace() && numberAsked() !== shown) show(numberAsked()); });
  show(numberAsked());
}
