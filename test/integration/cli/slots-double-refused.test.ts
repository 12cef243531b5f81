/** What `skyshard slots double` refuses by what nodes say of themselves, changing nothing. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { runCommand } from '../../support/running-cluster.ts';

const nodes = { n0: { host: '127.0.0.1', port: 1 }, n1: { host: '127.0.0.1', port: 2 } };
const shards = [
  { name: 's0', primary: 'n0', replicas: [], slots: ['0-1'] },
  { name: 's1', primary: 'n1', replicas: [], slots: ['2-3'] },
];
const map = { epoch: 7, slots: 4, nodes, shards };
const mib = 2 ** 20;
const slotBytes = 3 * mib;
/** That of the copies of two slots, and what is to be left beside them. */
const neededBytes = 2 * slotBytes + 256 * mib;

type Row = Readonly<Record<string, unknown>>;

function slotRow(slot: number, more: Row = {}): Row {
  const counts = { slots: 4, knownSlots: 4, isDividing: false };
  return { slot, cursor: 10, bytes: slotBytes, state: 'applying', condition: 'complete', ...counts, ...more };
}

function nodeRow(name: string, slots: readonly Row[], more: Row = {}): Row {
  return { name, state: 'up', freeBytes: neededBytes, log: null, slots, ...more };
}

let router: Server;
let inForce: Row;
let status: { nodes: readonly Row[] };
/** The maps that the router was asked to put in force. */
let pushed: unknown[];

beforeEach(async () => {
  pushed = [];
  inForce = map;
  router = createServer(async (request, response) => {
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part as Buffer);
    if (request.method === 'POST') pushed.push(JSON.parse(Buffer.concat(parts).toString()));
    const answers: Readonly<Record<string, object>> = {
      'GET /v1/map': { map: inForce },
      'GET /v1/status': status,
      'POST /v1/map': { epoch: map.epoch + 1 },
    };
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify(answers[`${request.method} ${request.url}`]));
  }).listen(0, '127.0.0.1');
  await once(router, 'listening');
});

afterEach(() => router.close());

async function double(...flags: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const { port } = router.address() as AddressInfo;
  return runCommand(['slots', 'double', `--router-url=http://127.0.0.1:${port}`, ...flags]);
}

const n0 = nodeRow('n0', [slotRow(0), slotRow(1)]);

it.each([
  [
    'a slot that has stopped',
    [slotRow(2), slotRow(3, { state: 'stopped' })],
    {},
    /slot 3 has stopped applying.*\n.*quarantine list/,
  ],
  ['a slot that is full', [slotRow(2, { state: 'full' }), slotRow(3)], {}, /slot 2 is full\n.*[Mm]ake room on node n1/],
  [
    'a slot that lacks something',
    [slotRow(2, { condition: 'incomplete' }), slotRow(3)],
    {},
    /slot 2 is incomplete.*\n.*repair slot 2/,
  ],
  [
    'a disk without room',
    [slotRow(2), slotRow(3)],
    { freeBytes: neededBytes - 12_345 },
    /node n1 has no room for the copies: 12345 bytes are missing\n.*slot compact/,
  ],
  ['a node that is down', [], { error: 'no connection' }, /node n1 does not answer.*\n.*[Ss]tart it/],
  [
    'a node of an older version',
    [slotRow(2), slotRow(3, { slots: undefined })],
    {},
    /node n1 runs an older version.*\n.*[Ss]tart the new one/,
  ],
] as const)('%s is refused, with what to do, and nothing is changed', async (_what, slots, more, said) => {
  status = { nodes: [n0, nodeRow('n1', slots, more)] };
  const { code, out, err } = await double();
  expect(err).toMatch(said);
  expect([code === 0, out, pushed]).toEqual([false, '', []]);
});

it('fewer slots than streams are refused with a log on a server, and nothing is changed', async () => {
  const few = [
    { name: 's0', primary: 'n0', replicas: [], slots: ['0'] },
    { name: 's1', primary: 'n1', replicas: [], slots: ['1'] },
  ];
  inForce = { ...map, slots: 2, shards: few };
  const log = { log: { url: 'nats://a' } };
  status = { nodes: [nodeRow('n0', [slotRow(0)], log), nodeRow('n1', [slotRow(1)], log)] };
  const { code, out, err } = await double();
  expect(err).toMatch(/node n0 has the logs of its slots on a NATS server, where 4 slots.*\n.*log migrate folders/);
  expect([code === 0, out, pushed]).toEqual([false, '', []]);
});

it('what is there to the byte is room enough', async () => {
  status = { nodes: [n0, nodeRow('n1', [slotRow(2), slotRow(3)])] };
  const { code, out, err } = await double('--dry-run');
  expect([code, err]).toEqual([0, '']);
  expect(out).toContain('n1    2-3    6.0 MiB  262.0 MiB    262.0 MiB');
  expect(pushed).toMatchObject([{ isDryRun: true, map: { slots: 8, doubling: true } }]);
});
