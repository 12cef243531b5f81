/** Requests all the time: reads by the router, writes by RPC, and commits through the log. */

import { systemClock } from '../../src/base/clock.ts';
import { operatingFailure } from '../../src/base/data-plane-error.ts';
import type { SeededRandom } from '../../src/base/seeded-random.ts';
import { callService, listOf, numberAt, type ServiceAnswer } from '../../src/cli/service-call.ts';
import { until } from '../support/until.ts';
import { edgeUriOf, postUriOf } from './fan-records.ts';
import type { FaultCluster } from './fault-cluster.ts';
import {
  compareSettled,
  compareSettledCount,
  type EffectErrors,
  edgeKinds,
  type FanWrite,
  type KnownAnswers,
  OwnValue,
  type Problem,
  problemsOfCount,
} from './known-answers.ts';
import { ServiceGaps } from './service-gaps.ts';

const readPauseMs = 8;
const writePauseMs = 30;
const ownPauseMs = 60;
const requestMsMax = 5_000;
const servedMsMax = 120_000;
const pageSize = 100;
const firstSeenMs = Date.UTC(2025, 0, 1);

/** Reads something of an actor. Returns what is wrong with the answer. */
type Read = (actor: number) => Promise<Problem[]>;

export class Load {
  readonly gaps: ServiceGaps;
  requests = 0;
  readonly errorsByCause = new Map<string, number>();
  readonly wrong: Problem[] = [];
  readonly #cluster: FaultCluster;
  readonly #answers: KnownAnswers;
  readonly #random: SeededRandom;
  readonly #own: readonly OwnValue[];
  readonly #pending = new Map<number, FanWrite>();
  #isOver = false;
  #isWriting = true;
  #ownUnderWay = 0;
  #running: Promise<void>[] = [];

  constructor(cluster: FaultCluster, answers: KnownAnswers, random: SeededRandom) {
    this.#cluster = cluster;
    this.#answers = answers;
    this.#random = random;
    this.gaps = new ServiceGaps(cluster.actors.length);
    this.#own = cluster.actors.map(() => new OwnValue());
  }

  begin(): void {
    const actors = [...this.#cluster.actors.keys()];
    // What only the primary answers must not hold up what any copy does.
    this.#running = [
      this.#write(),
      ...actors.flatMap((actor) => [this.#read(actor), this.#readOwn(actor), this.#set(actor)]),
    ];
  }

  /** The writer has a write in the log. */
  written(id: number): void {
    const write = this.#pending.get(id);
    if (write === undefined) return;
    this.#pending.delete(id);
    this.#answers.acknowledge(write, systemClock.monotonicMs());
    this.gaps.served('log', 0);
  }

  /** A writer that was started anew is given again what its predecessor did not acknowledge. */
  sendAgain(): void {
    for (const write of this.#pending.values()) this.#cluster.role('writer').send(JSON.stringify(write));
  }

  async #write(): Promise<void> {
    while (!this.#isOver) {
      await systemClock.sleep(writePauseMs);
      const write = this.#isWriting ? this.#answers.issue(this.#random) : null;
      if (write === null) continue;
      this.#pending.set(write.id, write);
      this.#cluster.role('writer').send(JSON.stringify(write));
    }
  }

  async #call(method: string, request: object): Promise<ServiceAnswer> {
    this.requests++;
    try {
      return await callService({ url: this.#cluster.routerUrl, timeoutMs: requestMsMax }, method, request);
    } catch (thrown) {
      const { code } = operatingFailure(thrown);
      this.errorsByCause.set(code, (this.errorsByCause.get(code) ?? 0) + 1);
      throw thrown;
    }
  }

  async #read(actor: number): Promise<void> {
    const reads: readonly Read[] = [
      (of) => this.#readFollowers(of),
      (of) => this.#readLikes(of),
      (of) => this.#readFollowerCount(of),
      () => this.#readFan(),
    ];
    await this.#checkAll(readPauseMs, (turn) => reads[turn % reads.length]!(actor));
  }

  async #readOwn(actor: number): Promise<void> {
    await this.#checkAll(ownPauseMs, () => this.#readSeen(actor));
  }

  async #checkAll(pauseMs: number, read: (turn: number) => Promise<Problem[]>): Promise<void> {
    for (let turn = 0; !this.#isOver; turn++) {
      await systemClock.sleep(pauseMs);
      // What was answered is checked; an error says that there is no service, and counts as such.
      const problems = await read(turn).catch(() => null);
      if (problems === null) continue;
      this.wrong.push(...problems);
    }
  }

  async #readFollowers(actor: number): Promise<Problem[]> {
    const tick = this.#answers.beginRead();
    const answer = await this.#call('GetFollowers', { actorDid: this.#cluster.actors[actor], limit: 1_000 });
    this.gaps.served('reads', actor);
    const fans = listOf(answer, 'followers').map((follower) => String(follower['actorDid']));
    return this.#answers.problemsOfList('follow', actor, fans, tick);
  }

  async #readLikes(actor: number): Promise<Problem[]> {
    const tick = this.#answers.beginRead();
    const answer = await this.#call('GetInteractionCounts', {
      refs: [{ uri: postUriOf(this.#cluster.actors[actor]!) }],
    });
    this.gaps.served('reads', actor);
    return problemsOfCount(
      `likes of actor ${actor}`,
      numberAt(answer, 'likes', 0),
      this.#answers.rangeOf('like', actor, tick),
    );
  }

  async #readFollowerCount(actor: number): Promise<Problem[]> {
    const tick = this.#answers.beginRead();
    const answer = await this.#call('GetCountsForUsers', { dids: [this.#cluster.actors[actor]] });
    this.gaps.served('reads', actor);
    const range = this.#answers.rangeOf('follow', actor, tick);
    return problemsOfCount(`followers of actor ${actor}`, numberAt(answer, 'followers', 0), range);
  }

  async #readFan(): Promise<Problem[]> {
    const { fans } = this.#answers;
    const fan = fans[this.#random.below(fans.length)]!;
    const tick = this.#answers.beginRead();
    const answer = await this.#call('GetCountsForUsers', { dids: [fan] });
    return problemsOfCount(`follows of ${fan}`, numberAt(answer, 'following', 0), this.#answers.rangeOfFan(fan, tick));
  }

  async #readSeen(actor: number): Promise<Problem[]> {
    const own = this.#own[actor]!;
    const before = own.beginRead();
    const value = await this.#seenBy(actor);
    this.gaps.served('own', actor);
    return own.problemsOf(`notification-seen of actor ${actor}`, value, before);
  }

  async #seenBy(actor: number): Promise<number> {
    const answer = await this.#call('GetNotificationSeen', { actorDid: this.#cluster.actors[actor] });
    const { timestamp } = answer as { readonly timestamp?: string };
    return timestamp === undefined ? 0 : (Date.parse(timestamp) - firstSeenMs) / 1_000;
  }

  /** Sets a private value of an actor again and again. */
  async #set(actor: number): Promise<void> {
    const own = this.#own[actor]!;
    while (!this.#isOver) {
      await systemClock.sleep(ownPauseMs);
      if (!this.#isWriting) continue;
      const value = own.issue();
      const timestamp = new Date(firstSeenMs + value * 1_000).toISOString();
      this.#ownUnderWay++;
      try {
        await this.#call('UpdateNotificationSeen', { actorDid: this.#cluster.actors[actor], timestamp });
        own.acknowledge(value);
        this.gaps.served('rpc writes', actor);
      } catch {
        own.failed(value);
      }
      this.#ownUnderWay--;
    }
  }

  /** Waits until every kind of request has been served for every actor from now on. */
  async untilServed(): Promise<void> {
    const sinceMs = systemClock.monotonicMs();
    await until(() => this.gaps.haveAllServedSince(sinceMs), servedMsMax).catch(() => {
      throw new Error(`no service in ${servedMsMax} ms: ${this.gaps.notServedSince(sinceMs).join(', ')}`);
    });
  }

  /** Waits until no write is under way, and issues none until `resume`. */
  async pauseWrites(): Promise<void> {
    this.#isWriting = false;
    await until(() => this.#answers.isQuiet && this.#ownUnderWay === 0, servedMsMax).catch(() => {
      throw new Error(`${this.#pending.size} commits are not acknowledged after ${servedMsMax} ms`);
    });
  }

  resumeWrites(): void {
    this.#isWriting = true;
  }

  /** Compares all that is stored, which has settled, with what must be. */
  async compareSettled(): Promise<EffectErrors & { readonly wrong: Problem[] }> {
    const found = { lost: [] as Problem[], doubled: [] as Problem[], wrong: [] as Problem[] };
    const take = ({ lost, doubled }: EffectErrors): void => {
      found.lost.push(...lost);
      found.doubled.push(...doubled);
    };
    const isFan = (name: string): boolean => this.#answers.fans.includes(name);
    for (const [actor, did] of this.#cluster.actors.entries()) {
      const followers = listOf(await this.#call('GetFollowers', { actorDid: did, limit: 1_000 }), 'followers');
      const [follow, like] = edgeKinds.map((kind) => this.#answers.fansOf(kind, actor));
      const names = followers.map((follower) => String(follower['actorDid']));
      take(compareSettled(`followers of actor ${actor}`, follow!, names, isFan));
      const likes = await this.#call('GetInteractionCounts', { refs: [{ uri: postUriOf(did) }] });
      take(compareSettledCount(`likes of actor ${actor}`, like!.length, numberAt(likes, 'likes', 0)));
      const counts = await this.#call('GetCountsForUsers', { dids: [did] });
      take(compareSettledCount(`follower count of actor ${actor}`, follow!.length, numberAt(counts, 'followers', 0)));
      const uris = edgeKinds.flatMap((kind) =>
        this.#answers.fansOf(kind, actor).map((fan) => edgeUriOf(kind, fan, actor)),
      );
      const isUri = (uri: string): boolean => isFan(uri.split('/')[2]!);
      take(compareSettled(`notifications of actor ${actor}`, uris, await this.#noticesOf(did), isUri));
      found.wrong.push(...this.#own[actor]!.settled(await this.#seenBy(actor)));
    }
    return found;
  }

  async #noticesOf(actorDid: string): Promise<string[]> {
    const uris: string[] = [];
    let cursor = '';
    do {
      const answer = await this.#call('GetNotifications', { actorDid, limit: pageSize, cursor });
      uris.push(...listOf(answer, 'notifications').map((notice) => String(notice['uri'])));
      cursor = String(answer['cursor'] ?? '');
    } while (cursor !== '');
    return uris;
  }

  async end(): Promise<void> {
    this.#isOver = true;
    await Promise.all(this.#running);
  }
}
