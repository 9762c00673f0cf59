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
      head.setAttribute("data-heading", head.textContent);
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
  tip.setAttribute("role", "status");
  (document.querySelector("main") || document.body).appendChild(tip);

  function show(text, event) {
    tip.textContent = text;
    tip.hidden = false;
    var left = event.clientX + 14, top = event.clientY + 14, box = tip.getBoundingClientRect();
    if (left + box.width > window.innerWidth - 8) { left = Math.max(8, event.clientX - box.width - 14); }
    if (top + box.height > window.innerHeight - 8) { top = event.clientY - box.height - 14; }
    tip.style.left = left + "px";
    tip.style.top = top + "px";
  }

  var held = null; // the drawing that the keyboard reads, and where it is
  function clear(except) {
    document.querySelectorAll("svg .cursor.on").forEach(function (line) {
      if (!except || !except.contains(line)) { line.classList.remove("on"); line.style.visibility = "hidden"; }
    });
    document.querySelectorAll("svg .hit.on").forEach(function (hit) { hit.classList.remove("on"); });
  }
  function series(chart) {
    if (!chart.series) { chart.series = JSON.parse(chart.getAttribute("data-series")); }
    return chart.series;
  }
  function point(chart, place, event) {
    var data = series(chart), cursor = chart.querySelector(".cursor");
    cursor.setAttribute("x1", data.x[place]);
    cursor.setAttribute("x2", data.x[place]);
    cursor.classList.add("on");
    cursor.style.visibility = "visible";
    show(data.words[place], event);
  }

  document.addEventListener("pointermove", function (event) {
    var target = event.target.closest ? event.target : document.body;
    var hit = target.closest("[data-tip]"), chart = target.closest("svg[data-series]");
    clear(chart);
    if (hit) { return show(hit.getAttribute("data-tip"), event); }
    if (!chart) { tip.hidden = true; return; }
    var data = series(chart), box = chart.getBoundingClientRect(), nearest = 0;
    var x = (event.clientX - box.left) * chart.viewBox.baseVal.width / box.width;
    data.x.forEach(function (place, i) { if (Math.abs(place - x) < Math.abs(data.x[nearest] - x)) { nearest = i; } });
    point(chart, nearest, event);
  });

  // A focused drawing is read with the arrow keys: along its epochs, or from point to point.
  document.addEventListener("keydown", function (event) {
    var chart = event.target.closest ? event.target.closest("svg.chart[tabindex]") : null;
    var steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 };
    if (event.key === "Escape") { clear(null); tip.hidden = true; return; }
    if (!chart || !steps[event.key]) { return; }
    event.preventDefault();
    var hits = chart.querySelectorAll(".hit"), along = chart.hasAttribute("data-series");
    var count = along ? series(chart).x.length : hits.length;
    if (!count) { return; }
    var first = !held || held.chart !== chart;
    var place = first ? (steps[event.key] > 0 ? 0 : count - 1) : Math.max(0, Math.min(count - 1, held.place + steps[event.key]));
    held = { chart: chart, place: place };
    clear(chart);
    var box = chart.getBoundingClientRect();
    if (along) {
      point(chart, place, { clientX: box.left + series(chart).x[place] * box.width / chart.viewBox.baseVal.width, clientY: box.top + 20 });
      return;
    }
    var at = hits[place].getBoundingClientRect();
    hits[place].classList.add("on");
    show(hits[place].getAttribute("data-tip"), { clientX: at.right, clientY: at.bottom });
  });
  document.addEventListener("focusout", function () { held = null; clear(null); tip.hidden = true; });

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

  // A link to a trial opens its panel, and a printed page has every trial.
  function openTarget() {
    var target = location.hash.length > 1 ? document.getElementById(location.hash.slice(1)) : null;
    if (target && target.tagName === "DETAILS") { target.open = true; target.scrollIntoView(); }
  }
  window.addEventListener("hashchange", openTarget);
  openTarget();
  var closed = [];
  window.addEventListener("beforeprint", function () {
    closed = Array.prototype.filter.call(document.querySelectorAll("details"), function (panel) { return !panel.open; });
    closed.forEach(function (panel) { panel.open = true; });
  });
  window.addEventListener("afterprint", function () { closed.forEach(function (panel) { panel.open = false; }); });
})();
