"use strict";
// Questions about a text, each with the place of its answer, or with the word that the text does not tell. A draft is
// the questions, and which of them is being answered; answers are null until one is given.

const question = () => here.draft.questions[here.draft.at];
const isGiven = () => here.item.prompt !== "";
let hinted = 0;
let filledFor = "";

const task = {
  title: "Ask and answer",
  help: "Choose the answer with the arrow keys and Shift and mark it with the space bar, or draw over it with the mouse.",
  keys: [
    ["1, 2, 3", "take the model's answer of that number"], ["0", "the text does not tell"], ["Space, m", "mark what is chosen as the answer"],
    ["e", "write the question"], ["t", "take a suggested question"], ["n", "another question about this text"], ["Enter", "in the question: to the text"],
  ],
  blank: () => ({ questions: [{ question: here.item.prompt, answers: null }], at: 0 }),
  draftOf: ({ questions }) => ({ questions, at: questions.length - 1 }),
  answerOf: () => ({ questions: done() }),
  shortly: (answer) => (answer ? answer.questions.map((each) => `${each.question} ${saidOf(each)}`).join(" \u00b7 ") : ""),
  prompt: () => (here.draft ? question().question : ""),

  lacks() {
    const open = here.draft.questions.filter((each) => each.question.trim() && each.answers === null);
    if (open.length) return "Mark the answer first, or press 0 where the text does not tell.";
    return done().length ? "" : "Write a question first, or skip this text.";
  },

  begin() {
    hinted = 0;
    if (isGiven() || here.item.answer) $("reading").focus();
    else $("question").focus();
  },

  marks() {
    const { answers } = question();
    const kept = (answers ?? []).map((each) => ({ ...each, classes: "mk answer" }));
    const offered = answers === null ? candidates().map((each, i) => ({ ...each, classes: "suggested", label: String(i + 1) })) : [];
    return [...kept, ...offered];
  },

  show() {
    if (!$("question")) buildPanel();
    $("question-part").hidden = isGiven();
    fillQuestion();
    $("hints").hidden = isGiven();
    const hints = (here.item.hints?.questions ?? []).map((each, i) => inItem(button(each.question, () => takeHint(i))));
    $("hints").replaceChildren(...(hints.length ? [element("p", "Questions thought up of these texts, to take (t) and to mend:", { class: "quiet" }), listOf(hints, "Suggested questions")] : []));
    showAnswer();
    const others = here.draft.questions.map((each, i) => inItem(button(`${each.question || "…"} ${saidOf(each)}`, () => change({ ...here.draft, at: i }), { "aria-current": String(i === here.draft.at) })));
    $("others").replaceChildren(...(others.length > 1 ? [listOf(others, "All questions about this text")] : []));
    $("another").hidden = isGiven();
  },

  key(event) {
    const offered = candidates()[Number(event.key) - 1];
    if (event.key === "0") answer([]);
    else if (/^[1-3]$/.test(event.key) && offered) answer([{ start: offered.start, end: offered.end }]);
    else if (event.key === " " || event.key === "m") markAnswer();
    else if (event.key === "e" && !isGiven()) $("question").focus();
    else if (event.key === "t" && here.item.hints && !isGiven()) takeHint(hinted);
    else if (event.key === "n" && !isGiven()) another();
    else return false;
    return true;
  },

  fieldKey(event) {
    if (event.target.id !== "question" || event.key !== "Enter" || event.shiftKey) return;
    event.preventDefault();
    commit();
    $("reading").focus();
  },

  drawn: () => markAnswer(),
};

const done = () => here.draft.questions.filter((each) => each.question.trim() && each.answers !== null);
const saidOf = ({ answers }) => (answers === null ? "(open)" : answers.length ? `→ ${oneLine(textBetween(answers[0].start, answers[0].end))}` : "→ not in the text");
const candidates = () => (here.suggestion && here.suggestion.prompt === question().question ? here.suggestion.answers.slice(0, 3) : []);
const listOf = (items, label) => {
  const list = element("ul", "", { class: "choices wide", "aria-label": label });
  list.append(...items);
  return list;
};

function buildPanel() {
  const label = element("label", "Question", { id: "question-part" });
  const box = element("textarea", "", { id: "question", rows: 2, maxlength: 10_000, dir: "auto" });
  box.addEventListener("change", commit);
  label.append(box);
  const more = button("Another question ", another, { id: "another" });
  more.append(element("kbd", "n"));
  const bar = element("div", "", { class: "bar" });
  bar.append(more);
  $("task-part").append(label, element("div", "", { id: "hints" }), element("div", "", { id: "answer-part" }), bar, element("div", "", { id: "others" }));
}

function showAnswer() {
  const { answers } = question();
  const none = button("", () => answer([]), { "aria-pressed": String(answers !== null && !answers.length) });
  none.append(element("kbd", "0"), element("bdi", "The text does not tell"), here.suggestion?.none ? percent(here.suggestion.none) : "");
  const offered = candidates().map((each, i) => {
    const isTaken = answers?.length === 1 && answers[0].start === each.start && answers[0].end === each.end;
    const made = button("", () => answer([{ start: each.start, end: each.end }]), { "aria-pressed": String(isTaken) });
    made.append(element("kbd", String(i + 1)), element("bdi", oneLine(textBetween(each.start, each.end))), element("span", percent(each.score)));
    return inItem(made);
  });
  const said = element("p", answers === null ? "No answer yet." : answers.length ? "The answer: " : "The text does not tell.");
  if (answers?.length) said.append(...answers.flatMap((each, i) => [i ? " or " : "", element("strong", oneLine(textBetween(each.start, each.end)))]));
  $("answer-part").replaceChildren(said, listOf([...offered, inItem(none)], "Answers to take"));
}

const withQuestion = (changes) => ({ ...here.draft, questions: here.draft.questions.map((each, i) => (i === here.draft.at ? { ...each, ...changes } : each)) });

/** Have the field say what the draft asks; what is being typed there stays until it is the draft's, whatever else is shown meanwhile. */
function fillQuestion() {
  const asked = JSON.stringify([here.item.key, here.draft.at, question().question]);
  if (filledFor === asked) return;
  filledFor = asked;
  $("question").value = question().question;
}

/** The question as it was typed is the question; the model is asked it. */
function commit() {
  const text = $("question").value.trim();
  if (text === question().question) return;
  change(withQuestion({ question: text }));
  suggest(text);
}

function answer(answers) {
  change(withQuestion({ answers }));
  $("announcement").textContent = answers.length ? oneLine(textBetween(answers[0].start, answers[0].end)) : "The text does not tell.";
}

function markAnswer() {
  const part = chosen();
  if (part) answer([{ start: part.start, end: part.end }]);
}

function takeHint(i) {
  const hints = here.item.hints?.questions ?? [];
  if (!hints.length) return;
  const { question: text, answers } = hints[i % hints.length];
  hinted = (i + 1) % hints.length;
  change(withQuestion({ question: text, answers }));
  suggest(text);
  $("reading").focus();
}

function another() {
  commit();
  if (!question().question) {
    $("question").focus();
    return;
  }
  change({ questions: [...here.draft.questions, { question: "", answers: null }], at: here.draft.questions.length });
  $("question").focus();
}
