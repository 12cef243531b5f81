/** Joins commits of one actor that follow each other closely, since signing and proving cost far more than writing. */
import type { GraphCommit } from './graph-state.ts';

/** Ops of one joined commit stay near this. */
const opsMax = 24;

function pathsOf(commit: GraphCommit): string[] {
  return commit.ops.map((op) => `${op.collection}/${op.rkey}`);
}

/** Holds at most one commit for each actor. What it gives back has each path once, the time and rev of its last part. */
export class CommitGrouping {
  readonly #held = new Map<number, { commit: GraphCommit; readonly paths: Set<string> }>();
  #parts = 0;

  /** How many commits went into what is held. */
  get parts(): number {
    return this.#parts;
  }

  /** Takes a commit in. Returns one that has to be made first, if any. */
  add(commit: GraphCommit): GraphCommit | null {
    const held = this.#held.get(commit.actor);
    const paths = pathsOf(commit);
    const fits = held !== undefined && held.paths.size < opsMax && !paths.some((path) => held.paths.has(path));
    this.#parts++;
    if (held === undefined || !fits) {
      // Put in anew, so that what is held stays in the order of its beginnings.
      this.#held.delete(commit.actor);
      this.#held.set(commit.actor, { commit, paths: new Set(paths) });
      return held?.commit ?? null;
    }
    held.commit = { ...commit, ops: [...held.commit.ops, ...commit.ops] };
    for (const path of paths) held.paths.add(path);
    return null;
  }

  /** Returns what is held of one actor, and forgets it. */
  takeActor(actor: number): GraphCommit | null {
    const held = this.#held.get(actor);
    this.#held.delete(actor);
    return held?.commit ?? null;
  }

  /** Returns all that is held, and forgets it. */
  takeAll(): GraphCommit[] {
    const commits = [...this.#held.values()].map(({ commit }) => commit);
    this.#held.clear();
    this.#parts = 0;
    return commits;
  }
}
