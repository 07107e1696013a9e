"use strict";
// What the model says of a text: its labels, and a bar for each; or its number.

const isNumber = () => server.kind === "regression";
const isSeveral = () => server.kind === "multi-label";
const labelsOf = (result) => result.labels.join(", ") || (result.number === null ? "no label" : String(result.number));
/** Of one label its probability; of several that all decisions are right. */
const sureOf = ({ labels, scores }) => (isSeveral()
  ? Object.entries(scores).reduce((product, [label, score]) => product * (labels.includes(label) ? score : 1 - score), 1)
  : scores[labels[0]]);

const page = {
  example: "The heating has been cold since Friday, and nobody answers the telephone.",
  said: labelsOf,
  get head() { return isNumber() ? ["number"] : ["label", "certainty", "confidence"]; },
  get shortHead() { return isNumber() ? ["Number"] : ["Label", "How sure"]; },
  rows: (result) => [isNumber() ? [result.number] : [result.labels.join("|"), certainty(sureOf(result)), Number(sureOf(result).toFixed(4))]],
  shortCells: (result) => {
    if (!result) return page.shortHead.map(() => "");
    return [element("bdi", labelsOf(result)), ...(isNumber() ? [] : [confidenceMark(sureOf(result))])];
  },

  show(text, result) {
    $("answer").replaceChildren(element("bdi", labelsOf(result)));
    $("confidence").hidden = isNumber();
    $("confidence").replaceChildren(...(isNumber() ? [] : [confidenceMark(sureOf(result))]));
    $("bars").hidden = isNumber();
    $("bars").replaceChildren(...(isNumber() ? [] : Object.entries(result.scores)).map(([label, score]) => {
      const bar = element("meter", percent(score), { min: 0, max: 1, value: score, "aria-label": label });
      const item = inItem(element("bdi", label), bar, element("span", percent(score), { class: "quiet" }));
      if (result.labels.includes(label)) item.className = "given";
      return item;
    }));
    $("remark").textContent = server.can_decline || isNumber() ? "" : "This model gives one of its labels to every text, also where none fits: mind how sure it is.";
    return `The text is: ${labelsOf(result)}.${isNumber() ? "" : ` ${certainty(sureOf(result))}, confidence ${percent(sureOf(result))}.`}`;
  },

  correct(text, result) {
    const legend = $("right").firstElementChild;
    if (isNumber()) {
      const box = element("input", "", { type: "number", step: "any", id: "right-number", required: "", value: result.number });
      const label = element("label", "The right number ");
      label.append(box);
      $("right").replaceChildren(legend, label);
    } else {
      $("right").replaceChildren(legend, ...server.labels.map((name) => {
        const box = element("input", "", { type: isSeveral() ? "checkbox" : "radio", name: "right", value: name });
        box.checked = result.labels.includes(name);
        const label = element("label", "");
        label.append(box, " ", element("bdi", name));
        return label;
      }));
    }
    $("right").querySelector("input:checked, input").focus();
  },
};

$("correct-part").addEventListener("submit", (event) => {
  event.preventDefault();
  if (isNumber()) keepCorrection({ number: Number($("right-number").value) });
  else keepCorrection({ labels: [...$("right").querySelectorAll("input:checked")].map(({ value }) => value) });
});
