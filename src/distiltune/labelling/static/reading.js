"use strict";
// The text on show: its words, a cursor that goes over them by keyboard or mouse, and marks. Places of marks are code
// points, as the file has them; places in a JavaScript string are UTF-16 units.

const WORDS_A_PART = 1_500;
const words = { text: "", points: [], from: [], to: [], part: 0, isPair: false };
let cursor = { anchor: 0, focus: 0, isOn: false };

/** Take a text on: `flat` is where each word starts and ends, in code points. */
function takeText(text, flat) {
  const isPlain = !/[\ud800-\udbff]/.test(text); // a place is the same in both counts: of a long text a second's work less
  const places = isPlain ? { get: (point) => point } : utf16Places(text, flat);
  words.text = text;
  words.points = flat;
  words.from = [];
  words.to = [];
  for (let i = 0; i < flat.length; i += 2) {
    words.from.push(places.get(flat[i]));
    words.to.push(places.get(flat[i + 1]));
  }
  words.part = 0;
  cursor = { anchor: 0, focus: 0, isOn: false };
}

const nWords = () => words.from.length;
const nParts = () => Math.max(1, Math.ceil(nWords() / WORDS_A_PART));
const wordsOf = (start, end) => {
  const first = lowerBound(words.points, start, 1); // the first that ends after the start
  let last = first;
  while (last + 1 < nWords() && words.points[2 * (last + 1)] < end) last++;
  return [first, last];
};

/** The first word whose end (`at` 1) lies after the place. */
function lowerBound(points, place, at) {
  let [low, high] = [0, points.length / 2 - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[2 * middle + at] > place) high = middle;
    else low = middle + 1;
  }
  return Math.max(0, low);
}

/** What is chosen, in code points; null where the cursor has not been set. */
function chosen() {
  if (!cursor.isOn || !nWords()) return null;
  const [low, high] = [Math.min(cursor.anchor, cursor.focus), Math.max(cursor.anchor, cursor.focus)];
  return { start: words.points[2 * low], end: words.points[2 * high + 1], text: words.text.slice(words.from[low], words.to[high]) };
}

const textBetween = (start, end) => {
  const places = utf16Places(words.text, [start, end]);
  return words.text.slice(places.get(start), places.get(end));
};

/** Every place where the same words stand, as whole words, in code points. */
function occurrences(text) {
  const found = [];
  const starts = new Map(words.from.map((place, i) => [place, i]));
  const ends = new Map(words.to.map((place, i) => [place, i]));
  for (let at = words.text.indexOf(text); at >= 0; at = words.text.indexOf(text, at + Math.max(1, text.length))) {
    const [first, last] = [starts.get(at), ends.get(at + text.length)];
    if (first !== undefined && last !== undefined) found.push({ start: words.points[2 * first], end: words.points[2 * last + 1] });
  }
  return found;
}

/** Show the part that the text is at, with marks: `{start, end, classes, label}`. */
function showText(marks) {
  const first = words.part * WORDS_A_PART;
  const last = Math.min(nWords(), first + WORDS_A_PART);
  const classes = new Map();
  const labels = new Map();
  for (const mark of marks) {
    const [low, high] = wordsOf(mark.start, mark.end);
    for (let i = Math.max(low, first); i <= Math.min(high, last - 1); i++) {
      classes.set(i, `${classes.get(i) ?? ""} ${mark.classes}`);
      if (i < high) classes.set(i + 0.5, `${classes.get(i + 0.5) ?? ""} ${mark.classes}`);
    }
    if (mark.label) labels.set(high, [...(labels.get(high) ?? []), mark]);
  }
  const content = [];
  let place = first === 0 ? 0 : words.from[first];
  for (let i = first; i < last; i++) {
    if (words.from[i] > place) content.push(gap(words.text.slice(place, words.from[i]), i - 1, classes.get(i - 0.5)));
    const word = element("span", words.text.slice(words.from[i], words.to[i]));
    word.dataset.w = i;
    if (classes.has(i)) word.className = classes.get(i).trim();
    content.push(word);
    for (const mark of labels.get(i) ?? []) content.push(element("small", mark.label, { class: mark.classes, "data-w": i }));
    place = words.to[i];
  }
  content.push(words.text.slice(place, last < nWords() ? words.from[last] : undefined));
  $("reading").replaceChildren(...content);
  $("parts").hidden = nParts() === 1;
  $("part").textContent = `Part ${words.part + 1} of ${nParts()} of this text`;
  showCursor();
}

function gap(text, before, classes) {
  const made = element("span", text);
  made.dataset.g = before;
  if (classes) made.className = classes.trim();
  return made;
}

const wordElement = (i) => $("reading").querySelector(`span[data-w="${i}"]`);

function showCursor() {
  for (const each of $("reading").querySelectorAll(".at, .chosen")) each.classList.remove("at", "chosen");
  if (!cursor.isOn) return;
  const [low, high] = [Math.min(cursor.anchor, cursor.focus), Math.max(cursor.anchor, cursor.focus)];
  for (let i = low; i <= high; i++) wordElement(i)?.classList.add(low === high ? "at" : "chosen");
  wordElement(cursor.focus)?.scrollIntoView({ block: "nearest" });
}

/** Let the cursor go to a word; with `isLonger` what lies between is chosen too. */
function goTo(i, isLonger) {
  if (!nWords()) return;
  const to = Math.min(nWords() - 1, Math.max(0, i));
  cursor = { anchor: isLonger && cursor.isOn ? cursor.anchor : to, focus: to, isOn: true };
  const part = Math.floor(to / WORDS_A_PART);
  if (part !== words.part) {
    words.part = part;
    showText(task.marks());
  } else showCursor();
  const { text } = chosen();
  $("announcement").textContent = shortened(oneLine(text), 120);
}

/** The word above or below, by where the words stand on the screen. */
function wordBeside(i, step) {
  const here = wordElement(i)?.getBoundingClientRect();
  if (!here) return i;
  let best = i;
  let distance = Infinity;
  for (let j = i + step; j >= 0 && j < nWords() && Math.abs(j - i) < 200; j += step) {
    const there = wordElement(j)?.getBoundingClientRect();
    if (!there) break;
    const lines = step * (there.top - here.top);
    if (lines < here.height / 2) continue;
    if (best !== i && lines > here.height * 2.5) break;
    const away = Math.abs(there.left - here.left) + 4 * lines;
    if (away < distance) [best, distance] = [j, away];
  }
  return best === i ? i + step : best;
}

/** The keys that move over the words; whether it was one. */
function movingKey(event) {
  const { focus, isOn } = cursor;
  const isRightToLeft = getComputedStyle($("reading")).direction === "rtl";
  const [forward, back] = isRightToLeft ? ["ArrowLeft", "ArrowRight"] : ["ArrowRight", "ArrowLeft"];
  const firstHere = words.part * WORDS_A_PART;
  const to = {
    [forward]: isOn ? focus + 1 : firstHere, [back]: isOn ? focus - 1 : firstHere,
    ArrowDown: isOn ? wordBeside(focus, 1) : firstHere, ArrowUp: isOn ? wordBeside(focus, -1) : firstHere,
    Home: firstHere, End: Math.min(nWords(), firstHere + WORDS_A_PART) - 1,
  }[event.key];
  if (to === undefined || event.ctrlKey || event.altKey || event.metaKey) return false;
  goTo(to, event.shiftKey);
  return true;
}

/** The word that a place of the page's own selection is in: of a gap the next one, or with `isEnd` the one before. */
function wordAt(node, isEnd) {
  const span = (node.nodeType === Node.TEXT_NODE ? node.parentElement : node)?.closest?.("[data-w], [data-g]");
  if (!span || !$("reading").contains(span)) return null;
  return span.dataset.w !== undefined ? Number(span.dataset.w) : Number(span.dataset.g) + (isEnd ? 0 : 1);
}

$("reading").addEventListener("mouseup", () => {
  const selection = getSelection();
  if (!selection.rangeCount || !nWords()) return;
  const range = selection.getRangeAt(0);
  const low = wordAt(range.startContainer, false);
  let high = wordAt(range.endContainer, true);
  if (low === null || high === null) return;
  // A range that ends where a word begins does not take that word in.
  if (!range.collapsed && range.endOffset === 0 && high > low) high--;
  cursor = { anchor: low, focus: Math.max(low, high), isOn: true };
  const isDrawn = !range.collapsed;
  selection.removeAllRanges();
  showCursor();
  if (isDrawn) task.drawn?.();
});
for (const [id, step] of [["part-before", -1], ["part-after", 1]]) {
  $(id).addEventListener("click", () => {
    words.part = Math.min(nParts() - 1, Math.max(0, words.part + step));
    cursor.isOn = false;
    showText(task.marks());
    $("reading").scrollTop = 0;
  });
}
