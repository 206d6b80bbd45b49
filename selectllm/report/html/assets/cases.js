// The cases of a run: what every arm picked of every cluster, and what that lost.

const [C_ARM, C_SHOWING, C_REPEAT, C_PICKS, C_STATUS, C_PROBLEMS, C_ATTEMPTS, C_SHAPE] = [0, 1, 2, 3, 4, 5, 6, 7];

class Cases {
  constructor(data) {
    Object.assign(this, data);
    this.ofCluster = this.clusters.map(() => this.arms.map(() => []));
    for (const choice of this.choices) this.ofCluster[this.showings[choice[C_SHOWING]][0]][choice[C_ARM]].push(choice);
    this.statuses = [...new Set(this.choices.map((choice) => choice[C_STATUS]))].sort();
    this.weights = new Map();
  }

  id(cluster) { return this.clusters[cluster][0]; }

  lost(cluster, arm) { return this.clusters[cluster][2][arm] ?? null; }

  /** Numbers of the items of a choice, in the order shown; of its picks. */
  shown(choice) { return this.showings[choice[C_SHOWING]][2]; }

  picked(choice) { return choice[C_PICKS].map((slot) => this.shown(choice)[slot]); }

  members(cluster) {
    const first = this.ofCluster[cluster].find((choices) => choices.length);
    return first === undefined ? [] : [...this.shown(first[0])].sort((a, b) => a - b);
  }

  label(choice, slot) {
    const kind = this.labels[this.prompts[choice[C_ARM]]];
    return kind === "letters" ? String.fromCharCode(65 + slot) : String(slot + 1);
  }

  value(item) { return this.deciding === null ? null : this.items[item][3][this.deciding]; }

  /** How surely an arm picks each item of a cluster: over its orders, missing picks drawn evenly. */
  chances(cluster, arm) {
    const key = cluster * this.arms.length + arm;
    if (!this.weights.has(key)) this.weights.set(key, this.countChances(cluster, arm));
    return this.weights.get(key);
  }

  countChances(cluster, arm) {
    const chances = new Map();
    const choices = this.ofCluster[cluster][arm];
    for (const choice of choices) {
      const shown = this.shown(choice);
      const picked = new Set(this.picked(choice));
      const fill = (this.picks - picked.size) / (shown.length - picked.size);
      for (const item of shown) chances.set(item, (chances.get(item) ?? 0) + (picked.has(item) ? 1 : fill) / choices.length);
    }
    return chances;
  }

  /** The items of a cluster that two arms treat differently; none where one of them was not asked. */
  differing(cluster, a, b) {
    const [ours, theirs] = [this.chances(cluster, a), this.chances(cluster, b)];
    if (!ours.size || !theirs.size) return [];
    return [...ours.keys()].filter((item) => Math.abs(ours.get(item) - theirs.get(item)) > 1e-9);
  }

  /** How much more of what could be gained arm b missed than arm a; 0 where that is not known. */
  change(cluster, a, b) { return (this.lost(cluster, b) ?? 0) - (this.lost(cluster, a) ?? 0); }

  /** The messages of the rendered prompt of a choice, put together from its parts; null: not known. */
  rendered(choice) {
    if (choice[C_SHAPE] === null) return null;
    const items = this.shown(choice).map((number) => this.items[number]);
    const textOf = (part) => (Array.isArray(part) ? items[part[0]][1 + part[1]] : this.pieces[part]);
    return this.shapes[choice[C_SHAPE]].map(([role, parts]) => [role, parts.map(textOf).join("")]);
  }

  /** The reasons that the last reply gives beside its labels; empty where there are none. */
  reasons(choice) {
    const last = choice[C_ATTEMPTS].filter((attempt) => attempt[5] === null).at(-1);
    const reply = last === undefined ? "" : this.replies[last[0]];
    const object = reply.match(/\{[^]*\}/);
    if (object) {
      try {
        const said = JSON.parse(object[0]).reasons;
        return Array.isArray(said) ? said.join("; ") : typeof said === "string" ? said : "";
      } catch { return ""; }
    }
    const lines = reply.split("\n").filter((line) => !/\[\s*\w{1,3}\s*[\],]/.test(line) && /(\p{L}{2,}\s+){3}/u.test(line));
    return lines.join("\n").trim();
  }
}
