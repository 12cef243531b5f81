/** Where events come from: sources with their rates and lags, queues, and what is repaired. */
import type { LiveFrame } from '../../metrics/live-frame.ts';
import type { IngestState, SourceState } from '../ingest-state.ts';
import { Chart } from './charts.ts';
import { columnMs } from './columns.ts';
import { type Cell, card, choice, h, table } from './dom.ts';
import { bytes, duration, growth, threeDigits } from './figures.ts';
import { perSecond } from './load-figures.ts';
import { framesOf, spanOf, type View, type ViewContext, windows } from './view.ts';

const process = 'ingest';
/** Over which rates of sources are averaged. */
const rateMs = 10_000;
/** Gauges of ingest are read every five seconds while nobody watches. */
const gaugesEveryS = 5;

function stateOf({ pausedMs, problem, connected }: SourceState): Cell {
  if (pausedMs !== null) return { text: 'paused', className: 'text warn' };
  if (problem?.isStopped === true) return { text: 'stopped', className: 'text bad' };
  return connected ? { text: 'connected', className: 'text good' } : { text: 'connecting', className: 'text bad' };
}

function sourceRows({ sources, labelers }: IngestState, frames: readonly LiveFrame[]): Cell[][] {
  const last = frames.at(-1);
  const first = frames.find(({ endMs }) => last !== undefined && endMs >= last.endMs - rateMs);
  return [...sources, ...labelers].map((source) => {
    const { name, receivedSeq, durableSeq, pendingEvents, lagMs, problem, lastProblem, connected } = source;
    const text = problem === null ? (connected ? '' : (lastProblem ?? '')) : `${problem.message}. ${problem.hint}`;
    return [
      name,
      stateOf(source),
      perSecond(growth(first, last, `eventsReceived.${name}`)),
      lagMs === null ? '–' : duration(lagMs * 1000),
      threeDigits(pendingEvents),
      receivedSeq === null ? '–' : String(receivedSeq),
      durableSeq === null ? '–' : String(durableSeq),
      perSecond(growth(first, last, `eventsDropped.${name}`)),
      { text, className: 'wrap' },
    ];
  });
}

const sourceHeadings = ['source', '~state', 'events', 'lag', 'pending', 'received', 'durable', 'dropped', ''];

/** Returns what waits, each with how much of it. */
function queueRows({ connection }: ViewContext, ingest: IngestState, last: LiveFrame | undefined): Cell[][] {
  const { identitiesPending, lookups, backfill, bsync, repair } = ingest;
  const { reposTotal, reposDone, reposQueued, reposRunning, reposFailed, recordsPerS, etaMs } = backfill;
  const nodes = connection.cluster?.nodes ?? [];
  const sum = (column: 5 | 8): number =>
    nodes.reduce((all, { slots }) => all + slots.reduce((total, slot) => total + slot[column], 0), 0);
  const lookupsOf = ({ directory, otherHosts }: IngestState['lookups']['identities']): string =>
    `${threeDigits(directory)} at the directory, ${threeDigits(otherHosts)} at other hosts`;
  const eta = etaMs === null ? '' : `, ETA ${duration(etaMs * 1000)}`;
  const rows: [string, string][] = [
    ['entries on their way to the log', bytes(last?.gauges['appendsPendingBytes'] ?? 0)],
    ['entries that wait to be applied', threeDigits(sum(5))],
    ['entries in quarantine', threeDigits(sum(8))],
    ['look-ups of identities', `${threeDigits(identitiesPending)} running; waiting: ${lookupsOf(lookups.identities)}`],
    ['checks of deleted accounts', lookupsOf(lookups.deletions)],
    [
      'repos to fetch',
      `${threeDigits(reposQueued)} queued, ${threeDigits(reposRunning)} running, ${threeDigits(reposDone)} of ` +
        `${threeDigits(reposTotal)} done, ${threeDigits(reposFailed)} failed; ${threeDigits(recordsPerS)} records/s${eta}`,
    ],
  ];
  for (const [stream, cursor] of Object.entries(bsync?.cursors ?? {})) {
    rows.push([
      `bsync: ${stream}`,
      `at ${cursor}${bsync?.problems[stream] === undefined ? '' : `: ${bsync.problems[stream]}`}`,
    ]);
  }
  if (repair !== null && repair.phase !== 'done') {
    const { slot, phase, left, repos, problem } = repair;
    rows.push([
      `repair of slot ${slot}`,
      `${phase}, ${left} of ${repos} repos left${problem === null ? '' : `: ${problem}`}`,
    ]);
  }
  return rows.map(([name, text]) => [name, { text, className: 'wrap' }]);
}

/** Returns a line for each source, of values that are computed of a frame and one before. */
function linesOf(
  frames: readonly LiveFrame[],
  gauge: string,
  valueIn: (frame: LiveFrame, before: LiveFrame | undefined, name: string) => number | null,
): { readonly name: string; readonly values: (number | null)[] }[] {
  const names = new Set(frames.flatMap(({ gauges }) => Object.keys(gauges).filter((key) => key.startsWith(gauge))));
  const back = columnMs(frames) < 2_500 ? gaugesEveryS : 1;
  return [...names].sort().map((key) => ({
    name: key.slice(gauge.length),
    values: frames.map((frame, index) => valueIn(frame, frames[index - back], key)),
  }));
}

export const ingestView: View = (root, context) => {
  const { connection, state, set } = context;
  connection.want({ prefixes: [], process: null, spanS: spanOf(context) });
  const sources = h('div');
  const queues = h('div');
  const rate = new Chart('time', perSecond);
  const lag = new Chart('time', (seconds) => duration(seconds * 1e6));
  const pending = new Chart('time', threeDigits);
  const sourceCard = card('Sources', 'events and drops per second, of the last 10 s', sources);
  const queueCard = card('Queues', 'what waits now', queues);
  const controls = card(
    'Over time',
    '',
    h(
      'div',
      { class: 'controls' },
      choice('window', windows, state['minutes'] ?? '2', (value) => set({ minutes: value })),
    ),
  );
  for (const wide of [sourceCard, queueCard, controls]) wide.className = 'wide';
  root.append(
    sourceCard,
    queueCard,
    controls,
    card('Events', 'received per second, by source', rate.element),
    card('Lag', 'age of the newest event when it came, by source', lag.element),
    card('Pending', 'events taken in and not yet durable in the log', pending.element),
  );
  return () => {
    const { ingest } = connection;
    if (ingest === null || 'error' in ingest) {
      const text =
        ingest === null
          ? 'This process does not know where ingest is: a router is told by --ingest-url.'
          : `Ingest does not answer: ${ingest.error}`;
      sources.replaceChildren(h('p', { class: ingest === null ? 'note' : 'bad' }, text));
      queues.replaceChildren();
    } else {
      const seconds = connection.secondsByProcess.get(process) ?? [];
      sources.replaceChildren(
        ingest.sources.length + ingest.labelers.length === 0
          ? h('p', { class: 'note' }, 'No source is followed.')
          : table(sourceHeadings, sourceRows(ingest, seconds)),
      );
      queues.replaceChildren(table(['queue', '~holds'], queueRows(context, ingest, seconds.at(-1))));
    }
    const frames = framesOf(context).get(process) ?? [];
    const xs = frames.map(({ endMs }) => endMs / 1000);
    const now = (frame: LiveFrame, _before: LiveFrame | undefined, key: string): number | null =>
      frame.gauges[key] ?? null;
    rate.show(
      xs,
      linesOf(frames, 'eventsReceived.', (frame, before, key) =>
        before?.gauges[key] === undefined ? null : growth(before, frame, key),
      ),
    );
    lag.show(xs, linesOf(frames, 'sourceLagSeconds.', now));
    pending.show(xs, linesOf(frames, 'eventsPending.', now));
  };
};
