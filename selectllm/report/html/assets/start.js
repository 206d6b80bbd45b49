// What happens when the page is opened.

/** The JSON in a block of the page; a packed block is base64 of gzip. */
async function contentOf(id) {
  const block = document.getElementById(id);
  if (block === null) return null;
  if (block.type === "application/json") return JSON.parse(block.textContent);
  const text = atob(block.textContent);
  const bytes = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at += 1) bytes[at] = text.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

/** The cases first; the charts once Vega, which stands behind this script, is there too. */
async function start() {
  const data = await contentOf("data");
  if (data !== null) exploreRuns(data.runs, document.getElementById("explorer"));
  if (document.readyState === "loading") await new Promise((done) => document.addEventListener("DOMContentLoaded", done));
  drawCharts(await contentOf("charts"));
  document.documentElement.dataset.ready = "yes";
}

start();
