"use strict";
// A page that sends one text and shows what comes back: its own script says how, in `showResult(text, result)`.

async function readText() {
  complain("");
  say("");
  const text = wellFormed($("text").value);
  if (!text.trim()) { complain("There is no text yet."); $("text").focus(); return; }
  const body = new Blob([JSON.stringify({ texts: [text] })]);
  if (body.size > server.max_body_bytes) { complain(tooLarge(body.size)); return; }
  $("ask").disabled = true;
  say("Reading…");
  try {
    const response = await fetch("api/predictions", {
      method: "POST", body, headers: { "Content-Type": "application/json" },
    });
    const found = await response.json().catch(() => ({ what: `The server failed (${response.status}).` }));
    say("");
    if (!response.ok) { complain(problemText(found)); return; }
    if (!found.complete) { complain("Time ran out before the text was read. What to do: send less text at once."); return; }
    $("reply").hidden = false;
    $("announcement").textContent = showResult(text, found.results[0]);
  } catch {
    say("");
    complain("The server cannot be reached. Is it still running?");
  } finally {
    $("ask").disabled = false;
  }
}

function editText() {
  $("reading").hidden = true;
  $("text").hidden = false;
  $("change").hidden = true;
  const n = countCodePoints($("text").value);
  $("size").textContent = n ? `${n.toLocaleString("en")} characters` : "";
}

async function startReading() {
  $("form").addEventListener("submit", (event) => { event.preventDefault(); readText(); });
  $("change").addEventListener("click", () => { editText(); $("text").focus(); });
  $("text").addEventListener("input", editText);
  takeFiles((text) => { $("text").value = text; editText(); });
  await meetServer();
}

startReading();
