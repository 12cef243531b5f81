/** For how long requests of each kind were not served, at the worst of its targets. */
import { systemClock } from '../../src/base/clock.ts';

/** Reads, reads of what a caller wrote itself, its writes by RPC, and commits through the log. */
export const serviceKinds = ['reads', 'own', 'rpc writes', 'log'] as const;
export type ServiceKind = (typeof serviceKinds)[number];

type Target = { servedMs: number; longestMs: number };

export class ServiceGaps {
  readonly #targets: ReadonlyMap<ServiceKind, readonly Target[]>;

  /** The log is one target, of all other kinds each actor is one. */
  constructor(actorCount: number) {
    const make = (count: number): Target[] => Array.from({ length: count }, () => ({ servedMs: 0, longestMs: 0 }));
    this.#targets = new Map(serviceKinds.map((kind) => [kind, make(kind === 'log' ? 1 : actorCount)]));
    this.reset();
  }

  served(kind: ServiceKind, index: number): void {
    const nowMs = systemClock.monotonicMs();
    const target = this.#targets.get(kind)![index]!;
    target.longestMs = Math.max(target.longestMs, nowMs - target.servedMs);
    target.servedMs = nowMs;
  }

  /** Gaps count from now on. */
  reset(): void {
    const nowMs = systemClock.monotonicMs();
    for (const targets of this.#targets.values())
      for (const target of targets) Object.assign(target, { servedMs: nowMs, longestMs: 0 });
  }

  /** Returns the longest gap of each kind since `reset`. Units: ms. */
  longest(): Readonly<Record<ServiceKind, number>> {
    const ofKind = (kind: ServiceKind): number =>
      Math.max(0, ...this.#targets.get(kind)!.map(({ longestMs }) => longestMs));
    return Object.fromEntries(serviceKinds.map((kind) => [kind, ofKind(kind)])) as Record<ServiceKind, number>;
  }

  notServedSince(sinceMs: number): string[] {
    return [...this.#targets].flatMap(([kind, targets]) => {
      const late = [...targets.keys()].filter((index) => targets[index]!.servedMs < sinceMs);
      return late.map((index) => `${kind} ${index}`);
    });
  }

  haveAllServedSince(sinceMs: number): boolean {
    return this.notServedSince(sinceMs).length === 0;
  }
}
