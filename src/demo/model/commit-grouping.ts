/** Joins consecutive commits of one actor, since signing and proving cost far more than writing. */
import type { GraphCommit } from './graph-state.ts';

/** About how many ops a joined commit holds at most. */
const opsMax = 24;

function pathsOf(commit: GraphCommit): string[] {
  return commit.ops.map((op) => `${op.collection}/${op.rkey}`);
}

/** Holds one commit per actor, each path at most once, with the time and rev of its last part. */
export class CommitGrouping {
  readonly #held = new Map<number, { commit: GraphCommit; readonly paths: Set<string> }>();
  #parts = 0;

  /** How many commits the held ones were joined from. */
  get parts(): number {
    return this.#parts;
  }

  /** Adds a commit. Returns the one that must be made before it, if any. */
  add(commit: GraphCommit): GraphCommit | null {
    const held = this.#held.get(commit.actor);
    const paths = pathsOf(commit);
    const fits = held !== undefined && held.paths.size < opsMax && !paths.some((path) => held.paths.has(path));
    this.#parts++;
    if (held === undefined || !fits) {
      // Inserted anew, so that the held commits stay in the order of their first parts.
      this.#held.delete(commit.actor);
      this.#held.set(commit.actor, { commit, paths: new Set(paths) });
      return held?.commit ?? null;
    }
    held.commit = { ...commit, ops: [...held.commit.ops, ...commit.ops] };
    for (const path of paths) held.paths.add(path);
    return null;
  }

  /** Removes and returns the held commit of one actor. */
  takeActor(actor: number): GraphCommit | null {
    const held = this.#held.get(actor);
    this.#held.delete(actor);
    return held?.commit ?? null;
  }

  /** Removes and returns all held commits. */
  takeAll(): GraphCommit[] {
    const commits = [...this.#held.values()].map(({ commit }) => commit);
    this.#held.clear();
    this.#parts = 0;
    return commits;
  }
}
