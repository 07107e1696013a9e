"use strict";
// Texts with labels: one each, or several. A draft is the labels, and whether somebody has set them.

const isSeveral = () => server.kind === "multi-label";
const digitOf = (i) => (i < 9 ? String(i + 1) : i === 9 ? "0" : "");

const task = {
  title: "Label texts",
  help: "Give the label by its digit.",
  keys: [["1 … 9, 0", "give that label, or take it away"], ["+", "another label"], ["Enter", "with none given: take what is suggested"]],
  blank: () => ({ labels: [], isSet: false }),
  draftOf: ({ labels }) => ({ labels, isSet: true }),
  answerOf: () => ({ labels: labelsNow() }),
  shortly: (answer) => (answer ? answer.labels.join(", ") || "no label" : ""),
  marks: () => [],
  lacks: () => (isSeveral() || labelsNow().length === 1 ? "" : "Give this text a label first, or skip it."),

  show() {
    const given = here.draft.isSet ? here.draft.labels : [];
    const { labels = [], scores = {} } = here.suggestion ?? {};
    const hadFocus = document.activeElement?.id;
    const buttons = server.labels.map((name, i) => {
      const made = button("", () => toggle(name), { "aria-pressed": String(given.includes(name)) });
      if (digitOf(i)) made.append(element("kbd", digitOf(i)), " ");
      made.append(element("bdi", name));
      if (name in scores) made.append(element("span", ` ${percent(scores[name])}`));
      if (labels.includes(name) && !here.draft.isSet) {
        made.className = "suggested";
        made.append(element("span", " suggested"));
      }
      return inItem(made);
    });
    const list = element("ul", "", { class: "choices", "aria-label": "Labels" });
    list.append(...buttons);
    const help = isSeveral() ? "Several may be given, or none." : server.labels.length ? "" : "There is no label yet: add the first.";
    if (!$("new-label")) $("task-part").append(element("div", "", { id: "labels" }), newLabel());
    $("labels").replaceChildren(list, element("p", help, { class: "quiet" }));
    if (hadFocus === "new-label") $("new-label").focus();
  },

  key(event) {
    const i = /^[0-9]$/.test(event.key) ? (Number(event.key) + 9) % 10 : -1;
    if (i >= 0 && i < server.labels.length) toggle(server.labels[i]);
    else if (event.key === "+") $("new-label").focus();
    else return false;
    return true;
  },
};

/** The labels as they would be saved: those given, or where none was set those suggested. */
function labelsNow() {
  return here.draft.isSet ? here.draft.labels : here.suggestion?.labels ?? [];
}

function toggle(name) {
  const given = here.draft.isSet ? here.draft.labels : [];
  const has = given.includes(name);
  const labels = isSeveral() ? (has ? given.filter((each) => each !== name) : [...given, name]) : has ? [] : [name];
  change({ labels, isSet: isSeveral() || labels.length > 0 });
  $("announcement").textContent = labels.join(", ") || "no label";
}

function newLabel() {
  const form = element("form", "", { class: "row", autocomplete: "off" });
  const label = element("label", "Another label", { for: "new-label" });
  form.append(label, element("input", "", { id: "new-label", type: "text", maxlength: 200 }), element("button", "Add and give", { type: "submit" }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const name = $("new-label").value.trim();
    if (!name) return;
    doing(async () => {
      server.labels = (await post("api/labels", { name })).labels;
      $("new-label").value = "";
      if (!(here.draft.isSet && here.draft.labels.includes(name))) toggle(name);
      show();
      $("reading").focus();
    });
  });
  return form;
}
