"use strict";
// What the model marks in a text: each entity in its place with its label, and all of them in a list.

function showResult(text, result) {
  const { entities } = result;
  const places = utf16Places(text, entities.flatMap(({ start, end }) => [start, end]));
  const reading = $("reading");
  reading.replaceChildren();
  let last = 0;
  for (const { start, end, label } of entities) {
    const [from, to] = [places.get(start), places.get(end)];
    const mark = element("mark", text.slice(from, to));
    mark.append(element("small", label));
    reading.append(text.slice(last, from), mark);
    last = to;
  }
  reading.append(text.slice(last));
  reading.hidden = false;
  $("text").hidden = true;
  $("change").hidden = false;
  const counted = entities.length === 1 ? "1 entity" : `${entities.length.toLocaleString("en")} entities`;
  $("answer").textContent = entities.length ? counted : "Nothing is marked in this text.";
  $("entities").replaceChildren(...entities.map(({ text: name, label, score }) => {
    const item = document.createElement("li");
    item.append(element("bdi", oneLine(name)), element("span", label), element("span", percent(score), { class: "quiet" }));
    return item;
  }));
  return `Marked: ${counted}.`;
}
