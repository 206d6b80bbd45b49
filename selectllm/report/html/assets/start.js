// What happens when the page is opened.

/** The JSON in a block of the page; a packed block is base64 of gzip. */
async function contentOf(id) {
  const block = document.getElementById(id);
  if (block === null) return null;
  if (block.type === "application/json") return JSON.parse(block.textContent);
  const bytes = Uint8Array.from(atob(block.textContent.trim()), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return JSON.parse(await new Response(stream).text());
}

async function start() {
  drawCharts(await contentOf("charts"));
  const data = await contentOf("data");
  if (data !== null) explore(new Cases(data), document.getElementById("explorer"));
  document.documentElement.dataset.ready = "yes";
}

start();
