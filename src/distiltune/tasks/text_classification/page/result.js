"use strict";
// What the model says of a text: its labels, and a bar for each; or its number.

function showResult(text, result) {
  const scores = Object.entries(result.scores);
  const labels = result.labels.join(", ") || (result.number === null ? "no label" : String(result.number));
  $("answer").replaceChildren(element("bdi", labels));
  $("bars").hidden = result.number !== null;
  $("bars").replaceChildren(...(result.number === null ? scores : []).map(([label, score]) => {
    const item = document.createElement("li");
    if (result.labels.includes(label)) item.className = "given";
    const bar = element("meter", percent(score), { min: 0, max: 1, value: score, "aria-label": label });
    item.append(element("bdi", label), bar, element("span", percent(score), { class: "quiet" }));
    return item;
  }));
  return `The text is: ${labels}.`;
}
