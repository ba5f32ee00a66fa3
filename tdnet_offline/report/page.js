"use strict";
// Draws each figure from the JSON in its element, in the colours of the theme.
{
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)").matches;
  const NARROW = 700;
  const figures = [...document.querySelectorAll(".figure")].map((element) => {
    const source = element.querySelector("script");
    const figure = JSON.parse(source.textContent);
    source.remove();
    return { element, ...figure };
  });

  // Share of a row, and its part of the full colour: small confusions stay visible.
  const SCALE = [[0, 0], [0.01, 0.1], [0.05, 0.25], [0.2, 0.5], [1, 1]];

  const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  function themed(layout) {
    const axis = { gridcolor: color("--grid"), linecolor: color("--grid"), tickcolor: color("--grid") };
    return {
      ...layout,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12, color: color("--muted") },
      hoverlabel: {
        bgcolor: color("--band"), bordercolor: color("--line"), align: "left",
        font: { color: "#fff", family: getComputedStyle(document.body).fontFamily },
      },
      // On touch screens a drag scrolls the page.
      dragmode: touch ? false : "zoom",
      ...Object.fromEntries(
        Object.keys(layout).filter((name) => /^[xy]axis/.test(name)).map((name) => [name, { ...layout[name], ...axis }]),
      ),
      shapes: layout.shapes?.map((shape) => ({ ...shape, line: { color: color("--muted"), ...shape.line } })),
    };
  }

  const channels = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

  // Opaque, so that plotly can choose dark or light numbers for a cell.
  function colorscale() {
    const paper = channels(color("--paper"));
    const full = channels(color("--heat"));
    return SCALE.map(([at, part]) => [
      at, `rgb(${paper.map((value, i) => Math.round(value + part * (full[i] - value))).join()})`,
    ]);
  }

  function painted(element, trace) {
    if (trace.type !== "heatmap") return trace;
    // Numbers only fit into the cells of wide matrices.
    const texttemplate = element.clientWidth < NARROW ? "" : "%{text}";
    return { ...trace, texttemplate, colorscale: colorscale() };
  }

  const draw = () => {
    for (const { element, data, layout } of figures) {
      Plotly.react(element, data.map((trace) => painted(element, trace)), themed(layout), { responsive: true, displayModeBar: false });
    }
  };
  dark.addEventListener("change", draw);
  matchMedia(`(max-width: ${NARROW}px)`).addEventListener("change", draw);
  draw();
}
