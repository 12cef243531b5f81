/** The histograms of a node: what all of its threads record, for operators and for routers. */
import type { Registry } from 'prom-client';
import type { Clock } from '../base/clock.ts';
import type { HistogramSource } from '../metrics/histogram-report.ts';
import { registerReadout } from '../metrics/metric.ts';
import { readGauges } from '../metrics/process-gauges.ts';
import { type LiveSource, ProcessHistograms } from '../metrics/process-histograms.ts';
import type { Interval, Recording } from '../metrics/recording.ts';
import { slotGroupName } from '../metrics/slot-group.ts';
import { histogramsAnswer, histogramsRequest } from '../wire/histogram-messages.ts';
import { liveAnswer, liveRequest } from '../wire/live-messages.ts';
import type { CallHandler } from '../wire/node-caller.ts';
import type { ThreadMetrics } from './serve-messages.ts';

export type NodeHistogramsOptions = {
  readonly name: string;
  /** Of the cluster; may become more. */
  readonly slots: () => number;
  readonly hasEdge: boolean;
  readonly registry: Registry;
  /** Has workers say what they have recorded. Returns their metrics. */
  readonly flushWorkers: () => Promise<ThreadMetrics[]>;
  readonly clock: Clock;
};

export class NodeHistograms implements Disposable {
  readonly source: HistogramSource;
  readonly live: LiveSource;
  readonly liveHandler: CallHandler;
  readonly handler: CallHandler;
  readonly #process: ProcessHistograms;

  constructor({ name, slots, hasEdge, registry, flushWorkers, clock }: NodeHistogramsOptions) {
    this.#process = new ProcessHistograms(clock);
    this.#process.register(registry, 'node');
    if (hasEdge) this.#process.register(registry, 'router');
    registerReadout(registry, 'skyshard_slot_reads_total', () => {
      const countByGroup = new Map<string, number>();
      for (const [slot, count] of this.#process.store.readsBySlot) {
        const group = slotGroupName(slot, slots());
        countByGroup.set(group, (countByGroup.get(group) ?? 0) + count);
      }
      return Array.from(countByGroup, ([group, value]) => ({ labels: { slots: group }, value }));
    });
    this.#process.keepHistory(async () => readGauges(registry, (await flushWorkers()).flat()));
    this.live = async (question) => this.#process.live(question);
    this.liveHandler = async (payload) => liveAnswer.encode(await this.live(liveRequest.decode(payload)));
    this.source = async (question) => {
      await flushWorkers();
      return this.#process.report(name, question);
    };
    this.handler = async (payload) => histogramsAnswer.encode(await this.source(histogramsRequest.decode(payload)));
  }

  /** Of the main thread. */
  get recording(): Recording {
    return this.#process.recording;
  }

  /** Takes what another thread recorded. */
  add(interval: Interval, thread: string): void {
    this.#process.store.add(interval, thread);
  }

  /** Memory of histograms, for the status. */
  get memory() {
    return this.#process.store.memory;
  }

  [Symbol.dispose](): void {
    this.#process[Symbol.dispose]();
  }
}
