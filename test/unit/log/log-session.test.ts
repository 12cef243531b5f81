/** What a session makes of what a server says of its streams. */
import { connect, type Msg } from '@nats-io/transport-node';
import { describe, expect, it } from 'vitest';
import { LogSession } from '../../../src/log/log-session.ts';
import { parseShardMap } from '../../../src/shardmap/shard-map.ts';
import { NatsServer } from '../../support/nats-server.ts';
import { stopAfterEach } from '../../support/stop-after-each.ts';

const map = parseShardMap({
  epoch: 1,
  slots: 1,
  nodes: { n0: { host: '127.0.0.1', port: 1 } },
  shards: [{ name: 's0', primary: 'n0', slots: ['0'] }],
});
const streams = { bytesMax: 2 ** 20, copies: 1 };
const notMade = '0001-01-01T00:00:00Z';
const made = '2026-12-01T01:09:40.455078992Z';

const resources = stopAfterEach();

/** A server whose streams are played: each question about one is answered by the next of `said`. */
async function playing(said: readonly (string | null)[]): Promise<{ readonly url: string; readonly asked: string[] }> {
  // One without streams of its own leaves the names of their questions to its clients.
  const server = await NatsServer.start('8MB', ['jetstream: false']);
  resources.use(server);
  const player = await connect({ servers: server.url });
  resources.defer(() => player.close());
  const asked: string[] = [];
  const answerOf = (question: string): object => {
    if (question === 'INFO') return { memory: 0, storage: 0, streams: 1, consumers: 0, limits: {}, api: {} };
    asked.push(question);
    const created = said[Math.min(asked.length, said.length) - 1];
    if (created === null) return { error: { code: 404, err_code: 10_059, description: 'stream not found' } };
    return { config: { name: 'any', num_replicas: 1 }, created, state: { last_seq: 0 } };
  };
  player.subscribe('$JS.API.>', {
    callback: (_error: Error | null, msg: Msg) =>
      void msg.respond(JSON.stringify(answerOf(msg.subject.split('.').slice(2, 4).join('.')))),
  });
  await player.flush();
  return { url: server.url, asked };
}

async function open(url: string): Promise<LogSession> {
  const session = await LogSession.open({ urls: [url], credentialsFile: null, streams }, url, map);
  resources.defer(() => session.close());
  return session;
}

describe('a stream that the server is making for another node', () => {
  it.each([
    ['found', [notMade, notMade, made], ['STREAM.INFO', 'STREAM.INFO', 'STREAM.INFO']],
    [
      'made at the same time',
      [null, notMade, notMade, made],
      ['STREAM.INFO', 'STREAM.CREATE', 'STREAM.INFO', 'STREAM.INFO'],
    ],
  ])('is known by when it was made, once it is: %s', async (_how, said, expected) => {
    const { url, asked } = await playing(said);
    const session = await open(url);
    expect(session.streamOf(0).created).toBe(made);
    expect(asked).toEqual(expected);
  });

  it('ends the session if it never is', async () => {
    const { url } = await playing([notMade]);
    await expect(open(url)).rejects.toMatchObject({
      code: 'Unavailable',
      message: expect.stringContaining('is still making the stream'),
    });
  });
});
