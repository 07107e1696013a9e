"use strict";
// What the model marks in a text: each entity in its place with its label, and all of them in a list.

const N_COLOURS = 8;
const colourOf = (label) => `colour-${server.labels.indexOf(label) % N_COLOURS}`;
const tagOf = (label) => element("span", label, { class: `tag ${colourOf(label)}` });
const countedEntities = ({ entities }) => counted(entities.length, "entity", "entities");
let right = []; // the entities as they are being set right

const page = {
  example: "Ada Byron moved from Lisbon to Geneva in 1843, to work for the Harbour Company.",
  said: (result) => countedEntities(result),
  head: ["entity", "label", "certainty", "confidence", "start", "end"],
  shortHead: ["Found"],
  rows: ({ entities }) => (entities.length
    ? entities.map(({ text, label, score, start, end }) => [text, label, certainty(score), Number(score.toFixed(4)), start, end])
    : [page.head.map(() => "")]),
  shortCells: (result) => {
    const cell = element("div", "", { class: "bar" });
    cell.append(...(result?.entities ?? []).map(({ text, label }) => {
      const each = element("span", `${oneLine(text)} `);
      each.append(tagOf(label));
      return each;
    }));
    return [cell];
  },

  show(text, result) {
    const { entities } = result;
    const places = utf16Places(text, entities.flatMap(({ start, end }) => [start, end]));
    const content = [];
    let last = 0;
    for (const { start, end, label } of entities) {
      const [from, to] = [places.get(start), places.get(end)];
      const mark = element("mark", text.slice(from, to), { class: colourOf(label) });
      mark.append(element("small", label));
      content.push(text.slice(last, from), mark);
      last = to;
    }
    readText(...content, text.slice(last));
    $("answer").textContent = entities.length ? countedEntities(result) : "Nothing is marked in this text.";
    $("counts").replaceChildren(...server.labels.map((label) => [label, entities.filter((each) => each.label === label).length])
      .filter(([, n]) => n).map(([label, n]) => inItem(tagOf(label), ` ${number(n)}`)));
    $("entities").replaceChildren(...entities.map(({ text: name, label, score }) => inItem(element("bdi", oneLine(name)), tagOf(label), confidenceMark(score))));
    $("remark").textContent = "";
    return entities.length ? `Marked: ${countedEntities(result)}.` : "Nothing is marked in this text.";
  },

  correct(text, { entities }) {
    right = entities.map(({ start, end, label }) => ({ start, end, label }));
    $("text").value = text; // of many texts the one that is on show
    $("new-label").replaceChildren(...server.labels.map((label) => element("option", label)));
    showRight();
    markText();
    showMarked();
  },
};

function showRight() {
  const text = $("text").value;
  const places = utf16Places(text, right.flatMap(({ start, end }) => [start, end]));
  $("right").replaceChildren(...right.map((entity) => {
    const name = oneLine(text.slice(places.get(entity.start), places.get(entity.end)));
    const choose = element("select", "", { "aria-label": `Label of ${name}` });
    choose.append(...server.labels.map((label) => element("option", label)));
    choose.value = entity.label;
    choose.addEventListener("change", () => { entity.label = choose.value; });
    const leaveOut = button("Leave out", () => {
      right = right.filter((each) => each !== entity);
      showRight();
      $("add-entity").focus();
    }, { "aria-label": `Leave out ${name}` });
    return inItem(element("bdi", name), choose, leaveOut);
  }));
}

function showMarked() {
  if ($("correct-part").hidden) return;
  const part = markedPart();
  $("marked").textContent = part ? shortened(oneLine(part.text), 100) : "nothing yet";
  $("add-entity").disabled = !part;
}

$("add-entity").addEventListener("click", () => {
  const { start, end } = markedPart();
  // What it lies upon gives way: two entities share no character.
  right = [...right.filter((each) => each.end <= start || each.start >= end), { start, end, label: $("new-label").value }];
  right.sort((a, b) => a.start - b.start);
  showRight();
});
document.addEventListener("selectionchange", showMarked);
$("text").addEventListener("select", showMarked);
$("correct-part").addEventListener("submit", (event) => { event.preventDefault(); keepCorrection({ entities: right }); });
