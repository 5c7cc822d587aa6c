"use strict";
// Text from articles and questions becomes text nodes only; nothing here takes HTML.
const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);
const PAGE = 100;

function make(tag, options = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(options)) {
    if (name === "text") element.textContent = value;
    else if (name === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

const share = (value) => value.toFixed(2).replace(/^(-?)0\./, "$1.");

// What is shown

const state = { text: "", outcome: null, facets: {}, sort: null, falling: true, shown: PAGE };
const confidenceOf = (question) => (question.answer ? question.answer.confidence : undefined);
const columns = [
  ...(data.questions.some((question) => question.answer) ? [["confidence", confidenceOf]] : []),
  ...data.columns.map((name) => [name, (question) => question.measures[name]]),
  ["ms", (question) => question.ms],
];
document.documentElement.style.setProperty("--numbers", columns.length);

const haystacks = data.questions.map((question) =>
  [
    question.id,
    question.question,
    ...question.gold.answers,
    ...question.gold.quotes.map((quote) => quote.quote),
    ...(question.answer ? question.answer.claims.map((claim) => claim.text) : []),
  ].join("\n").toLowerCase(),
);

function matching() {
  const words = state.text.toLowerCase().split(/\s+/).filter(Boolean);
  const found = data.questions
    .map((question, place) => ({ question, place }))
    .filter(
      ({ question, place }) =>
        words.every((word) => haystacks[place].includes(word)) &&
        (state.outcome === null || question.outcome === state.outcome) &&
        Object.entries(state.facets).every(([key, value]) => question.facets[key] === value),
    );
  if (state.sort === null) return found;
  const value = columns.find(([name]) => name === state.sort)[1];
  const sign = state.falling ? -1 : 1;
  // Questions without the measure come last, whichever way.
  const order = (entry) => { const number = value(entry.question); return number === undefined ? Infinity : sign * number; };
  return found.sort((one, other) => { const a = order(one), b = order(other); return a === b ? one.place - other.place : a < b ? -1 : 1; });
}

function render() {
  const found = matching();
  byId("rows").replaceChildren(...found.slice(0, state.shown).map(({ question, place }) => row(question, place)));
  byId("count").textContent = found.length === data.questions.length ? String(found.length) : `${found.length} of ${data.questions.length}`;
  const rest = found.length - state.shown;
  byId("more").hidden = rest <= 0;
  byId("more").textContent = `Show ${Math.min(rest, PAGE)} more of ${rest}`;
  for (const button of byId("outcomes").children) button.setAttribute("aria-pressed", String(button.value === (state.outcome ?? "")));
  for (const select of byId("facets").children) select.value = state.facets[select.name] ?? "";
  for (const button of byId("sorts").querySelectorAll("button")) {
    const active = button.value === (state.sort ?? "");
    button.setAttribute("aria-pressed", String(active));
    button.textContent = button.name + (active && state.sort !== null ? (state.falling ? " ↓" : " ↑") : "");
  }
}

function refresh() {
  state.shown = PAGE;
  render();
}

function row(question, place) {
  const label = data.outcomes[question.outcome];
  const details = make(
    "details",
    { class: "row", id: `row-${place}` },
    make(
      "summary",
      { class: "line" },
      make("i", { class: `dot is-${question.outcome}`, title: label ?? null, role: "img", "aria-label": label ?? "not judged" }),
      make("span", {}, make("span", { class: "asked", text: question.question }), make("span", { class: "id", text: question.id })),
      ...columns.map(([name, value], column) => {
        const number = value(question);
        const shown = number === undefined ? "–" : name === "ms" ? number.toFixed(0) : share(number);
        return make("span", { class: `cell${number === undefined ? " none" : ""}${column === 0 ? " main" : ""}`, text: shown });
      }),
    ),
  );
  details.addEventListener("toggle", () => {
    if (details.open && details.childElementCount === 1) details.append(body(question, place));
  });
  return details;
}

// An opened row

function body(question, place) {
  const first = make("div", { class: "first" }, ...gold(question), ...measures(question));
  const second = make("div", {}, ...(question.answer ? answer(question, place) : ranking(question)));
  return make("div", { class: "body" }, first, second);
}

function gold(question) {
  const { answers, quotes, answerable } = question.gold;
  const parts = [make("h3", { text: "Gold" })];
  if (answerable === false) parts.push(make("p", { class: "why", text: "The articles do not say." }));
  if (answers.length) parts.push(make("p", {}, ...answers.map((text) => make("bdi", { class: "pill", text }))));
  for (const quote of quotes) {
    parts.push(make("p", { class: "quote", text: quote.quote }));
    parts.push(make("p", { class: "origin", text: quote.article + (quote.places.length ? "" : " (stands nowhere in the index)") }));
  }
  const facets = Object.entries(question.facets).filter(([key]) => key in data.facets);
  if (facets.length) parts.push(make("p", {}, ...facets.map(([key, value]) => make("bdi", { class: "pill", text: `${key}: ${value}` }))));
  return parts;
}

function measures(question) {
  const found = Object.entries(question.measures);
  if (!found.length) return [];
  const list = make("dl", { class: "scores" });
  for (const [name, value] of found) list.append(make("dt", { text: name }), make("dd", { text: Number.isInteger(value) ? value : value.toFixed(3) }));
  return [make("h3", { text: "Measures" }), list];
}

function answer(question, place) {
  const { claims, citations, reason, short, nearest } = question.answer;
  const parts = [make("h3", { text: data.outcomes[question.outcome] ?? "Answer" })];
  if (reason !== null) parts.push(make("p", { class: "why", text: `Declined: ${reason}` }));
  if (claims.length) {
    if (reason !== null) parts.push(make("p", { class: "key", text: "What would have been said:" }));
    const said = make("p", { class: `said${reason === null ? "" : " held"}` });
    for (const claim of claims) {
      said.append(claim.text);
      for (const marker of claim.citations) said.append(make("sup", {}, make("a", { href: `#c${place}-${marker}`, text: `[${marker}]` })));
      said.append(" ");
    }
    parts.push(said);
  }
  if (short) parts.push(make("p", {}, make("bdi", { class: "pill", text: `in short: ${short}` })));
  const cited = new Map();
  for (const citation of citations) cited.set(citation.passage, [...(cited.get(citation.passage) ?? []), citation]);
  if (cited.size) parts.push(make("h3", { text: "Cited" }), key());
  for (const [passage, group] of cited) parts.push(passageCard(question, place, passage, group));
  const others = nearest.filter((passage) => !cited.has(passage) && passage in data.passages);
  if (others.length) {
    const list = make("div");
    const title = make("h3", { text: cited.size ? "Nearest besides" : "Nearest passages" });
    for (const passage of others) list.append(passageCard(question, place, passage, []));
    parts.push(title, list);
  }
  return parts;
}

function key() {
  return make("p", { class: "key" }, make("mark", { class: "cited", text: "cited" }), " · ", make("mark", { class: "gold", text: "gold quote" }));
}

function passageCard(question, place, id, citations) {
  const card = make("div", { class: "passage" });
  for (const { marker, title, source, published, article, line } of citations) {
    const about = [title || article, source, published, `line ${line}`].filter(Boolean).join(" · ");
    card.append(make("p", { class: "origin", id: `c${place}-${marker}`, text: `[${marker}] ${about}` }));
  }
  const passage = data.passages[id];
  if (!citations.length) card.append(make("p", { class: "origin", text: id }));
  if (passage === undefined) card.append(...citations.map(({ quote }) => make("p", { class: "text" }, make("mark", { class: "cited", text: quote }))));
  else card.append(highlighted(passage, question, citations));
  return card;
}

// Offsets count code points, JavaScript's strings UTF-16 units: hence the array.
function highlighted(passage, question, citations) {
  const points = Array.from(passage.text);
  const inside = ([start, end]) => [Math.max(0, start - passage.start), Math.min(points.length, end - passage.start)];
  const some = ([start, end]) => start < end;
  const cited = citations.map(({ start, end }) => inside([start, end])).filter(some);
  const wanted = question.gold.quotes
    .filter((quote) => quote.article === passage.article)
    .flatMap((quote) => quote.places.map(inside))
    .filter(some);
  const cuts = [...new Set([0, points.length, ...cited.flat(), ...wanted.flat()])].sort((a, b) => a - b);
  const text = make("p", { class: "text" });
  for (let i = 0; i + 1 < cuts.length; i++) {
    const piece = points.slice(cuts[i], cuts[i + 1]).join("");
    const covers = ([start, end]) => start <= cuts[i] && cuts[i + 1] <= end;
    const kinds = [cited.some(covers) && "cited", wanted.some(covers) && "gold"].filter(Boolean);
    text.append(kinds.length ? make("mark", { class: kinds.join(" "), text: piece }) : piece);
  }
  return text;
}

function ranking(question) {
  const list = make("dl", { class: "scores" });
  for (const { article, score, judged } of question.ranked) {
    list.append(make("dt", {}, judged > 0 ? make("mark", { class: "cited", text: article }) : article), make("dd", { text: score.toFixed(4) }));
  }
  return [make("h3", { text: "Articles as ranked" }), make("p", { class: "key" }, make("mark", { class: "cited", text: "judged relevant" })), list];
}

// Controls

function choose(outcome) {
  state.outcome = outcome;
  refresh();
}

if (Object.keys(data.outcomes).length) {
  const count = (name) => data.questions.filter((question) => question.outcome === name).length;
  byId("outcomes").append(make("button", { type: "button", value: "", text: "all", on: { click: () => choose(null) } }));
  for (const [name, label] of Object.entries(data.outcomes)) {
    const swatch = make("i", { class: `swatch is-${name}` });
    byId("outcomes").append(make("button", { type: "button", value: name, on: { click: () => choose(name) } }, swatch, `${label} ${count(name)}`));
  }
}
for (const [name, values] of Object.entries(data.facets)) {
  const select = make("select", { name, "aria-label": name }, make("option", { value: "", text: `any ${name}` }));
  for (const value of values) select.append(make("option", { value, text: value }));
  select.addEventListener("change", () => {
    if (select.selectedIndex > 0) state.facets[name] = select.value;
    else delete state.facets[name];
    refresh();
  });
  byId("facets").append(select);
}
byId("sorts").append(make("span"));
for (const [label, name] of [["question", null], ...columns.map(([column]) => [column, column])]) {
  const sort = () => {
    state.falling = state.sort === name ? !state.falling : true;
    state.sort = name;
    refresh();
  };
  byId("sorts").append(make("button", { type: "button", name: label, value: name ?? "", on: { click: sort } }));
}
byId("search").addEventListener("input", (event) => {
  state.text = event.target.value;
  refresh();
});
byId("more").addEventListener("click", () => {
  state.shown += PAGE;
  render();
});
byId("theme").addEventListener("click", () => {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
});

// #q17 shows the 18th question, whatever the filters: the columns of the strip lead there.
function reveal() {
  const match = /^#q(\d+)$/.exec(location.hash);
  if (!match || !(match[1] in data.questions)) return;
  const place = Number(match[1]);
  if (!byId(`row-${place}`)) {
    Object.assign(state, { text: "", outcome: null, facets: {}, sort: null, shown: Math.max(PAGE, place + 1) });
    byId("search").value = "";
    render();
  }
  const details = byId(`row-${place}`);
  details.open = true;
  details.scrollIntoView({ block: "start" });
}
addEventListener("hashchange", reveal);
render();
reveal();
