"use strict";
// What needs no page: places in texts, and a sitting as part of a link. Texts in links never reach a server:
// what follows the # of an address is not sent.

/** Where code points lie in a JavaScript string, which counts UTF-16 units: a Map from each asked for. */
function utf16Places(text, codePoints) {
  const places = new Map();
  if (!/[\ud800-\udbff]/.test(text)) {
    for (const place of codePoints) places.set(place, place);
    return places;
  }
  const wanted = [...new Set(codePoints)].sort((a, b) => a - b);
  let unit = 0;
  let point = 0;
  for (const place of wanted) {
    for (; point < place && unit < text.length; point++) {
      const code = text.charCodeAt(unit);
      const next = text.charCodeAt(unit + 1);
      const isPair = code >= 0xd800 && code < 0xdc00 && next >= 0xdc00 && next < 0xe000;
      unit += isPair ? 2 : 1;
    }
    places.set(place, unit);
  }
  return places;
}

/** The text without halves of surrogate pairs, which no encoding can carry. */
function wellFormed(text) {
  return text.replace(/\p{Surrogate}/gu, "\ufffd");
}

/** Places as codePoints, but of how many there are. */
function countCodePoints(text) {
  let n = text.length;
  if (/[\ud800-\udbff]/.test(text)) n -= (text.match(/[\ud800-\udbff][\udc00-\udfff]/g) || []).length;
  return n;
}

const MAX_LINK_CHARACTERS = 64_000;
const MAX_LINKED_TEXT_BYTES = 10_000_000;

/** A sitting (any JSON) as the part of an address after the #; null if it is too long for one. */
async function sittingToFragment(sitting) {
  const packed = new Blob([JSON.stringify(sitting)]).stream().pipeThrough(new CompressionStream("deflate-raw"));
  const bytes = new Uint8Array(await new Response(packed).arrayBuffer());
  if (bytes.length * 4 / 3 > MAX_LINK_CHARACTERS) return null;
  let binary = "";
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return "s=" + btoa(binary).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** The sitting of such a part; null if it is none, is damaged, or unpacks to far too much. */
async function fragmentToSitting(fragment) {
  if (!fragment.startsWith("s=")) return null;
  try {
    const binary = atob(fragment.slice(2).replaceAll("-", "+").replaceAll("_", "/"));
    const bytes = Uint8Array.from(binary, (sign) => sign.charCodeAt(0));
    const reader = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader();
    const chunks = [];
    let total = 0;
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      total += value.length;
      if (total > MAX_LINKED_TEXT_BYTES) return null;
      chunks.push(value);
    }
    const sitting = JSON.parse(await new Blob(chunks).text());
    const areTexts = (some, has) => Array.isArray(some) && some.every(has);
    const isSitting = sitting && areTexts(sitting.questions, (each) => typeof each === "string")
      && areTexts(sitting.documents, (each) => typeof each?.text === "string" && typeof each.name === "string");
    return isSitting ? sitting : null;
  } catch {
    return null;
  }
}
