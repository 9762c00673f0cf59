// The page is whole without this: it only sorts tables, shows values under the pointer, and hides folds.
(function () {
  "use strict";
  document.documentElement.classList.add("js");

  function sortKey(cell) {
    var held = cell.getAttribute("data-sort");
    var text = held === null ? cell.textContent.trim() : held;
    var number = Number(text);
    return text === "" || text === "–" ? null : isNaN(number) ? text.toLowerCase() : number;
  }

  function sortBy(table, column, descending) {
    var body = table.tBodies[0];
    Array.prototype.slice.call(body.rows)
      .map(function (row, place) { return { row: row, place: place, key: sortKey(row.cells[column]) }; })
      .sort(function (a, b) {
        if (a.key === null || b.key === null) { return (a.key === null) - (b.key === null) || a.place - b.place; }
        var order = typeof a.key === typeof b.key ? (a.key > b.key) - (a.key < b.key) : String(a.key).localeCompare(String(b.key));
        return (descending ? -order : order) || a.place - b.place;
      })
      .forEach(function (item) { body.appendChild(item.row); });
  }

  document.querySelectorAll("table.sortable").forEach(function (table) {
    var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      if (head.hasAttribute("data-unsorted")) { return; }
      var button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) { button.appendChild(head.firstChild); }
      head.appendChild(button);
      button.addEventListener("click", function () {
        var sorted = head.getAttribute("aria-sort");
        var descending = sorted ? sorted === "ascending" : head.classList.contains("num") && head.getAttribute("data-first") !== "up";
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", descending ? "descending" : "ascending");
        sortBy(table, column, descending);
      });
    });
  });

  var tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  document.body.appendChild(tip);

  function show(text, event) {
    tip.textContent = text;
    tip.hidden = false;
    var left = event.clientX + 14, top = event.clientY + 14, box = tip.getBoundingClientRect();
    if (left + box.width > window.innerWidth - 8) { left = Math.max(8, event.clientX - box.width - 14); }
    if (top + box.height > window.innerHeight - 8) { top = event.clientY - box.height - 14; }
    tip.style.left = left + "px";
    tip.style.top = top + "px";
  }

  document.addEventListener("pointermove", function (event) {
    var target = event.target.closest ? event.target : document.body;
    var hit = target.closest("[data-tip]");
    if (hit) { return show(hit.getAttribute("data-tip"), event); }
    var chart = target.closest("svg[data-series]");
    document.querySelectorAll("svg[data-series] .cursor.on").forEach(function (line) {
      if (!chart || !chart.contains(line)) { line.classList.remove("on"); line.style.visibility = "hidden"; }
    });
    if (!chart) { tip.hidden = true; return; }
    var series = JSON.parse(chart.getAttribute("data-series")), box = chart.getBoundingClientRect();
    var x = (event.clientX - box.left) * chart.viewBox.baseVal.width / box.width, nearest = 0;
    series.x.forEach(function (place, i) { if (Math.abs(place - x) < Math.abs(series.x[nearest] - x)) { nearest = i; } });
    var cursor = chart.querySelector(".cursor");
    cursor.setAttribute("x1", series.x[nearest]);
    cursor.setAttribute("x2", series.x[nearest]);
    cursor.classList.add("on");
    cursor.style.visibility = "visible";
    function value(name) { var found = series[name][nearest]; return found === null ? "–" : found.toFixed(4); }
    show(series.label + " " + series.at[nearest] + "\ntraining " + value("train") + "\nvalidation " + value("validation"), event);
  });

  document.querySelectorAll("[data-folds]").forEach(function (group) {
    group.addEventListener("change", function (event) {
      var fold = event.target.getAttribute("data-toggle"), scope = group.closest("[data-charts]");
      scope.querySelectorAll('[data-fold="' + fold + '"]').forEach(function (path) {
        path.classList.toggle("hidden", !event.target.checked);
      });
    });
  });

  document.querySelectorAll("[data-open]").forEach(function (button) {
    button.addEventListener("click", function () {
      var open = button.getAttribute("data-open") === "all";
      document.querySelectorAll("#trials details").forEach(function (panel) { panel.open = open; });
    });
  });
})();
