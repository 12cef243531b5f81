/**
 * The actors of a demo network: DIDs, handles, names, and how active and how popular each is.
 *
 * Everything about an actor follows from the seed and its index; only what changes is stored.
 */
import { cidOfBlock } from '../../atproto/cid.ts';
import type { SeededRandom } from '../../base/seeded-random.ts';
import { powerLawChoice, type RankChoice, scatter } from './skewed-choice.ts';
import { demoGivenNames, demoSurnames } from './word-lists.ts';

/** `.test` never resolves on the open network. */
const demoHandleSuffix = '.skyshard.test';

/** What an actor has done, which decides between create and update. One bit each. */
export const actorFlag = {
  joined: 1,
  inactive: 2,
  profile: 4,
  status: 8,
  labeler: 16,
  notificationDeclaration: 32,
  chatDeclaration: 64,
} as const;

export class DemoActors {
  readonly count: number;
  readonly #seed: number;
  readonly #dids: (string | undefined)[];
  readonly #flags: Uint8Array;
  /** How often a handle was changed, for actors that changed theirs. */
  readonly #handleChanges = new Map<number, number>();
  readonly #popular: RankChoice;
  readonly #active: RankChoice;
  readonly #actorOfActiveRank: (rank: number) => number;

  constructor(seed: number, count: number) {
    this.count = count;
    this.#seed = seed;
    this.#dids = new Array(count);
    this.#flags = new Uint8Array(count);
    this.#popular = powerLawChoice(count, 0.85);
    this.#active = powerLawChoice(count, 0.6);
    this.#actorOfActiveRank = scatter(count, seed >>> 0);
  }

  did(actor: number): string {
    let did = this.#dids[actor];
    if (did === undefined) {
      // Any 24 base32 characters of a hash will do; those of a CID's text are at hand.
      did = `did:plc:${cidOfBlock(Buffer.from(`skyshard demo actor ${this.#seed} ${actor}`)).text.slice(16, 40)}`;
      this.#dids[actor] = did;
    }
    return did;
  }

  handle(actor: number): string {
    const changes = this.#handleChanges.get(actor) ?? 0;
    const given = demoGivenNames[actor % demoGivenNames.length]!;
    const number = Math.floor(actor / demoGivenNames.length);
    const name = number === 0 ? given : `${given}${number}`;
    return `${changes === 0 ? name : `${name}-${changes}`}${demoHandleSuffix}`;
  }

  displayName(actor: number): string {
    const given = demoGivenNames[actor % demoGivenNames.length]!;
    const surname = demoSurnames[Math.floor(actor / 7) % demoSurnames.length]!;
    return `${given[0]!.toUpperCase()}${given.slice(1)} ${surname[0]!.toUpperCase()}${surname.slice(1)}`;
  }

  handleChanges(actor: number): number {
    return this.#handleChanges.get(actor) ?? 0;
  }

  setHandleChanges(actor: number, changes: number): void {
    this.#handleChanges.set(actor, changes);
  }

  /** Gives the actor another handle, and returns it. */
  changeHandle(actor: number): string {
    this.#handleChanges.set(actor, (this.#handleChanges.get(actor) ?? 0) + 1);
    return this.handle(actor);
  }

  has(actor: number, flag: number): boolean {
    return (this.#flags[actor]! & flag) !== 0;
  }

  set(actor: number, flag: number, value: boolean): void {
    if (value) this.#flags[actor]! |= flag;
    else this.#flags[actor]! &= ~flag;
  }

  /** Draws someone to be followed, listed or blocked: few get most. Index 0 is the most popular. */
  drawPopular(random: SeededRandom): number {
    return this.#popular(random);
  }

  /** Draws someone to act; the active are not the popular. */
  drawActive(random: SeededRandom): number {
    return this.#actorOfActiveRank(this.#active(random));
  }

  /** Draws an author: the popular write more than their activity alone suggests. */
  drawAuthor(random: SeededRandom): number {
    return random.next() < 0.35 ? this.#popular(random) : this.drawActive(random);
  }

  /** Returns how appealing this author's posts are, before chance: between 0 and 1. */
  appeal(actor: number): number {
    return (actor + 1) ** -0.5;
  }
}
