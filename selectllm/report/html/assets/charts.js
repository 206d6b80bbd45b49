// Charts: Vega-Lite specifications that the page holds as JSON, drawn as SVG without any eval.

const THEME = {
  background: null,
  font: "system-ui, sans-serif",
  padding: { left: 2, right: 12, top: 4, bottom: 2 },
  view: { stroke: null },
  axis: {
    labelColor: "var(--soft)", titleColor: "var(--soft)", gridColor: "var(--line)", tickColor: "var(--line)",
    domainColor: "var(--mid)", labelFontSize: 12, titleFontSize: 12, titleFontWeight: 500, labelOverlap: true,
  },
  legend: { symbolBaseFillColor: "var(--ink)", symbolBaseStrokeColor: "var(--ink)", labelColor: "var(--ink)", titleColor: "var(--soft)", labelFontSize: 12, titleFontSize: 12, labelLimit: 300, orient: "top" },
  text: { color: "var(--ink)", fontSize: 12 },
  header: { labelColor: "var(--ink)", titleColor: "var(--soft)", labelFontSize: 12 },
};
const OPTIONS = { actions: false, renderer: "svg", ast: true, mode: "vega-lite", defaultStyle: false, tooltip: false };

/** Draw every chart when it comes near the screen; all of them before printing. */
function drawCharts(specs) {
  const waiting = new Map();
  const draw = (place) => {
    const spec = waiting.get(place);
    waiting.delete(place);
    const columns = place.clientWidth < 460 ? 1 : 2;
    const options = { ...OPTIONS, config: { ...THEME, legend: { ...THEME.legend, columns } } };
    if (spec) vegaEmbed(place, spec, options).catch((error) => place.replaceChildren(h("p", { class: "note" }, `This chart cannot be drawn (${error}); its table is below.`)));
  };
  const near = new IntersectionObserver((seen) => {
    for (const entry of seen) if (entry.isIntersecting) { near.unobserve(entry.target); draw(entry.target); }
  }, { rootMargin: "600px" });
  for (const place of document.querySelectorAll("[data-chart]")) {
    waiting.set(place, specs[place.dataset.chart]);
    near.observe(place);
  }
  window.addEventListener("beforeprint", () => [...waiting.keys()].forEach(draw));
}
