/** `skyshard status`: every node and slot, and the sources of ingest. */
import { DataPlaneError, operatingFailure } from '../../base/data-plane-error.ts';
import { errorBodyOf } from '../../http/error-body.ts';
import { readClientToken } from '../access-files.ts';
import { adminRequest } from '../admin-request.ts';
import type { Command, CommandContext } from '../command.ts';
import { exitCode } from '../exit-code.ts';
import { readRunFile, urlOf } from '../process/run-file.ts';
import { bytesText, type TableCell, textTable } from '../text-table.ts';

type Fields = Readonly<Record<string, unknown>>;

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}

function fieldsOf(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isFields) : [];
}

function cell(value: unknown): TableCell {
  if (typeof value === 'number' || typeof value === 'string') return value;
  return value === undefined || value === null ? '-' : JSON.stringify(value);
}

/** What a slot lacks matters more than that it applies. */
function slotState({ state = 'applying', condition = 'complete' }: Fields): unknown {
  return state === 'applying' && condition !== 'complete' ? condition : state;
}

/** Longer ago than any log is old: of a slot that has nothing of its log. */
const nothingMsMin = 10 * 365 * 86_400_000;

/** How far a slot is behind its log. */
function behindCell(behindMs: unknown): TableCell {
  if (typeof behindMs === 'number' && behindMs > nothingMsMin) return 'all';
  return typeof behindMs === 'number' && behindMs > 0 ? Math.round(behindMs) : '-';
}

function slotRows(node: Fields): TableCell[][] {
  return fieldsOf(node['slots']).map((slot) => [
    cell(node['name']),
    cell(slot['slot']),
    cell(slot['role']),
    cell(slotState(slot)),
    cell(slot['cursor']),
    cell(slot['head']),
    cell(slot['waiting']),
    cell(slot['outbox']),
    cell(slot['quarantined']),
    cell(slot['lagMs']),
    behindCell(slot['behindMs']),
    typeof slot['bytes'] === 'number' ? bytesText(slot['bytes']) : '-',
  ]);
}

async function fetchStatus(context: CommandContext, url: string): Promise<Fields> {
  const { settings } = context;
  const token = readClientToken(settings);
  return (await adminRequest({ url, path: '/v1/status', token, timeoutMs: settings.timeoutMs })) as Fields;
}

/** Asks the ingest of the run file, if any. An error is its status, and does not hide the nodes. */
async function fetchIngestStatus(context: CommandContext): Promise<Fields | null> {
  const url = readRunFile(context.settings.dataDir)?.ingest.url;
  if (url === undefined) return null;
  try {
    return await fetchStatus(context, url);
  } catch (thrown) {
    return errorBodyOf(operatingFailure(thrown));
  }
}

function sourceState({ problem, connected, pausedMs }: Fields): string {
  if (typeof pausedMs === 'number') return 'paused';
  if (isFields(problem) && problem['isStopped'] === true) return 'error';
  return connected === true ? 'connected' : 'connecting';
}

const sourceHeadings = [
  'source',
  'state',
  'received',
  'durable',
  'lag ms',
  'proves',
  'proven',
  'not',
  'false',
  'refused',
];

/** What is proven now, and commits by outcome. */
function trustCells(trust: unknown): TableCell[] {
  const { modeNow, verified, unverified, failed, refused } = isFields(trust) ? trust : {};
  return [modeNow, verified, unverified, failed, refused].map(cell);
}

/** Returns a line about the look-ups that wait durably, if any do. */
function lookupsText(lookups: unknown): string {
  const waiting = Object.entries(isFields(lookups) ? lookups : {}).flatMap(([kind, counts]) => {
    const { directory, otherHosts } = isFields(counts) ? counts : {};
    const count = Number(directory ?? 0) + Number(otherHosts ?? 0);
    return count === 0 ? [] : [`${count} of ${kind}`];
  });
  return waiting.length === 0 ? '' : `look-ups that wait: ${waiting.join(', ')}\n`;
}

/** Returns a line about a repair that is not over, if there is one. */
function repairText(repair: unknown): string {
  if (!isFields(repair) || repair['phase'] === 'done') return '';
  const { slot, phase, repos, left, waitsFor, problem } = repair;
  const what = `repair of slot ${cell(slot)}: ${cell(phase)}, ${cell(left)} of ${cell(repos)} repos left`;
  const waits = Array.isArray(waitsFor) ? waitsFor.map((source) => `; waits for ${source}`).join('') : '';
  return `${what}${waits}${problem === null ? '' : `: ${cell(problem)}`}\n`;
}

function ingestText(ingest: Fields): string {
  if (typeof ingest['error'] === 'string') {
    return `ingest: ${ingest['error']}: ${ingest['message']}\n  ${ingest['hint']}\n`;
  }
  const sources = [...fieldsOf(ingest['sources']), ...fieldsOf(ingest['labelers'])];
  const rows = sources.map((source) => [
    cell(source['name']),
    sourceState(source),
    cell(source['receivedSeq']),
    cell(source['durableSeq']),
    cell(source['lagMs']),
    ...trustCells(source['trust']),
  ]);
  const waiting = `${lookupsText(ingest['lookups'])}${repairText(ingest['repair'])}`;
  if (rows.length === 0) return waiting;
  const problems = sources.flatMap(({ problem }) => (isFields(problem) ? [problem] : []));
  const lines = problems.map(({ code, message, hint }) => `${cell(code)}: ${cell(message)}\n  ${cell(hint)}\n`);
  return `\n${textTable(sourceHeadings, rows)}${lines.join('')}${waiting}`;
}

/** Names those that have an older map than others; such a node refuses calls. */
function epochText(status: Fields, nodes: readonly Fields[]): string {
  const all = [{ name: 'the router', epoch: status['epoch'] }, ...nodes].flatMap(({ name, epoch }) =>
    typeof epoch === 'number' ? [{ name: String(name), epoch }] : [],
  );
  const newest = Math.max(...all.map(({ epoch }) => epoch));
  const older = all.filter(({ epoch }) => epoch < newest);
  return older
    .map(({ name, epoch }) => `${name} has the shard map of epoch ${epoch}, not ${newest}, which it asks for\n`)
    .join('');
}

/** Returns lines about the server of the log, and nodes that have theirs elsewhere. */
function logText(status: Fields, nodes: readonly Fields[], ingest: Fields | null): string {
  const given = Array.isArray(status['logUrls']) ? status['logUrls'].map(String) : [];
  const up = nodes.filter(({ state }) => state === 'up');
  const processes = [
    ...up,
    ...(ingest === null || ingest['error'] !== undefined ? [] : [{ ...ingest, name: 'ingest' }]),
  ];
  const logs = processes.map(({ name, log }) => ({ name: cell(name), log: isFields(log) ? log : null }));
  const server = logs.find(({ log }) => log !== null)?.log ?? null;
  const lines = logs.flatMap(({ name, log }) => {
    if (log === null) return server === null && given.length === 0 ? [] : [`${name} knows of no log on a server`];
    const isElsewhere = given.length > 0 && !given.some((url) => String(log['url']).includes(url));
    const elsewhere = isElsewhere ? [`${name} has its log at ${cell(log['url'])}, not at ${given.join(', ')}`] : [];
    return [...elsewhere, ...(log['problem'] === null ? [] : [`${name} and its log: ${cell(log['problem'])}`])];
  });
  if (server !== null) {
    lines.unshift(
      `the log is at ${cell(server['url'])}, NATS ${cell(server['version'])}, copies: ${cell(server['copies'])}`,
    );
    if (server['warning'] !== null) lines.push(`warning: ${cell(server['warning'])}`);
  }
  return lines.map((line) => `${line}\n`).join('');
}

/** Returns lines about slots that are kept from their logs, by what keeps them. */
function slotLogText(nodes: readonly Fields[]): string {
  const kept = nodes.flatMap((node) => fieldsOf(node['slots'])).filter(({ log }) => typeof log === 'string');
  const byProblem = Map.groupBy(kept, ({ log }) => String(log));
  return [...byProblem]
    .map(([problem, slots]) => `slots ${slots.map(({ slot }) => cell(slot)).join(',')} and their log: ${problem}\n`)
    .join('');
}

/**
 * Returns lines about replicas that must begin again from copies, as their primaries say.
 *
 * Shape: `nodes` as in the answer to `/v1/status`.
 */
export function leftBehindText(nodes: readonly Fields[]): string {
  const left = nodes.flatMap((node) =>
    fieldsOf(node['slots']).flatMap(({ slot, leftBehind }) =>
      Array.isArray(leftBehind) ? leftBehind.map((replica) => ({ slot: cell(slot), replica: String(replica) })) : [],
    ),
  );
  const byReplica = Map.groupBy(left, ({ replica }) => replica);
  return [...byReplica]
    .map(([replica, slots]) => {
      const which = slots.map(({ slot }) => slot).join(',');
      return `${replica} is left behind by the log of slots ${which}: it begins again from copies once it runs\n`;
    })
    .join('');
}

/** Returns a line about each node that has no slots: one that was added, or that was emptied. */
function idleText(nodes: readonly Fields[]): string {
  return nodes
    .map(({ name, code, error }) => {
      const down = error === undefined ? '' : `, and is down: ${cell(code)}: ${cell(error)}`;
      return `${cell(name)} has no slots${down}\n`;
    })
    .join('');
}

/** Returns a line about how the router's calls travel; a router inside the node needs none. */
function transportText(nodes: readonly Fields[]): string {
  const byTransport = Map.groupBy(nodes, ({ transport }) => transport);
  const parts = [...byTransport].flatMap(([transport, group]) =>
    typeof transport === 'string' ? [`${transport} to ${group.map(({ name }) => cell(name)).join(', ')}`] : [],
  );
  return parts.length === 0 ? '' : `calls go over ${parts.join('; over ')}\n`;
}

/** Shows the state of the cluster. Fails when a node does not answer. */
export const runStatus: Command = async (context) => {
  const { settings, print } = context;
  const status = await fetchStatus(context, urlOf('router', settings.routerUrl, settings.dataDir));
  const ingest = await fetchIngestStatus(context);
  const nodes = fieldsOf(status['nodes']);
  const { idleNodes, ...others } = status;
  const idle = fieldsOf(idleNodes);
  // Nothing is missing while one without slots is down.
  const down = nodes.filter((node) => node['state'] === 'down');
  if (settings.json) print(`${JSON.stringify({ ...others, nodes: [...nodes, ...idle], ingest }, null, 2)}\n`);
  else {
    const without = idle.length === 0 ? '' : `, ${idle.length} more without slots`;
    print(`epoch ${cell(status['epoch'])}, ${nodes.length} nodes, ${down.length} of them down${without}\n\n`);
    for (const node of down) {
      print(`${cell(node['name'])} is down: ${cell(node['code'])}: ${cell(node['error'])}\n`);
    }
    print(idleText(idle));
    print(epochText(status, [...nodes, ...idle]));
    print(transportText(nodes));
    print(logText(status, nodes, ingest));
    print(slotLogText(nodes));
    print(leftBehindText(nodes));
    const headings = [
      'node',
      'slot',
      'role',
      'state',
      'cursor',
      'head',
      'waiting',
      'outbox',
      'aside',
      'lag ms',
      'behind ms',
      'size',
    ];
    print(textTable(headings, nodes.flatMap(slotRows)));
    if (ingest !== null) print(ingestText(ingest));
  }
  if (down.length > 0) {
    const names = down.map((node) => String(node['name'])).join(', ');
    const hint = 'Look at what these nodes print; `skyshard up` starts a node that ended again by itself.';
    throw new DataPlaneError('Unavailable', `these nodes do not answer: ${names}`, { hint });
  }
  return exitCode.done;
};
