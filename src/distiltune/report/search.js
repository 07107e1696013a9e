"use strict";
(() => {
  const rows = [...document.querySelectorAll(".predictions tbody tr")].map((row) => [row, row.textContent.toLowerCase()]);
  const search = document.getElementById("search");
  const onlyWrong = document.getElementById("only-wrong");
  const show = () => {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    let n = 0;
    for (const [row, text] of rows) {
      row.hidden = !words.every((word) => text.includes(word)) || (onlyWrong.checked && row.className === "is-right");
      if (!row.hidden) n += 1;
    }
    document.getElementById("found").textContent = `${n.toLocaleString("en")} shown`;
  };
  search.addEventListener("input", show);
  onlyWrong.addEventListener("change", show);
  document.querySelector(".search").hidden = false;
})();
