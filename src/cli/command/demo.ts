/** `skyshard demo`: the simulated network as a process of its own. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DemoNetworkOptions, type RunningDemoNetwork, startDemoNetwork } from '../../demo/server/demo-network.ts';
import type { Command } from '../command.ts';
import { serve } from '../process/server-process.ts';

/**
 * Starts on the port of the last run, which stored cursors and DID documents name; on any free one
 * when another process has taken it since.
 */
export async function startOnSamePort(options: DemoNetworkOptions): Promise<RunningDemoNetwork> {
  const path = join(options.dataDir, 'port');
  const lastPort = options.port === 0 && existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
  let network: RunningDemoNetwork;
  try {
    network = await startDemoNetwork(lastPort > 0 ? { ...options, port: lastPort } : options);
  } catch (thrown) {
    const cause = (thrown as Error).cause as NodeJS.ErrnoException | undefined;
    if (lastPort === 0 || cause?.code !== 'EADDRINUSE') throw thrown;
    network = await startDemoNetwork(options);
  }
  writeFileSync(path, `${network.port}\n`);
  return network;
}

export const runDemo: Command = (context) => {
  const { settings, clock } = context;
  return serve(context, 'demo', async (dataDir) => {
    const network = await startOnSamePort({
      dataDir,
      seed: settings.demoSeed,
      actors: settings.demoActors,
      initialRecords: settings.demoRecords,
      recordsPerSecond: settings.demoRate,
      hostilePerSecond: settings.hostile ? settings.hostileRate : 0,
      host: settings.host,
      port: settings.demoPort,
      clock,
    });
    return {
      listening: { host: network.host, ports: { port: network.port } },
      failed: network.finished,
      close: () => network.close(),
    };
  });
};
