/**
 * A caller of its own process that asks for very many records at a fixed rate, for `overload`.
 *
 * Arguments: the port, the file of the pools, URIs a request, requests a second. Told to stop by a
 * message, it answers with what came of its requests.
 */
import { readFileSync } from 'node:fs';
import { encodeMessage } from '../src/proto/codec.ts';
import { GrpcLoad, grpcRequest } from './grpc-load.ts';
import { runOpenLoop } from './report.ts';
import type { RequestPools } from './request-pools.ts';

export type GreedyOutcome = {
  readonly answered: number;
  readonly failed: number;
  /** How the last one failed. */
  readonly problem: string;
};

async function main([port, pools, uris, perSecond]: readonly string[]): Promise<void> {
  const { posts } = JSON.parse(readFileSync(pools!, 'utf8')) as RequestPools;
  const asked = Array.from({ length: Number(uris) }, (_unused, index) => posts[index % posts.length]!);
  const request = grpcRequest('GetPostRecords', encodeMessage('GetPostRecordsRequest', { uris: asked }), 'greedy');
  const load = new GrpcLoad(Number(port), 32);
  const outcome = { answered: 0, failed: 0, problem: '' };
  process.on('message', () => {
    process.send!(outcome satisfies GreedyOutcome);
    process.exit(0);
  });
  process.send!('started');
  const send = async (): Promise<void> => {
    try {
      await load.ask(request);
      outcome.answered++;
    } catch (error) {
      outcome.failed++;
      outcome.problem = (error as Error).message;
    }
  };
  await runOpenLoop({ perSecond: Number(perSecond), durationMs: 3_600_000, send });
}

await main(process.argv.slice(2));
