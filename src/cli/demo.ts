/** `skyshard demo`: the simulated network as a process of its own. */
import { startDemoNetwork } from '../demo/demo-network.ts';
import type { Command } from './command.ts';
import { serve } from './server-process.ts';

/** Starts the simulated network. */
export const runDemo: Command = (context) => {
  const { settings, clock } = context;
  return serve(context, 'demo', async (dataDir) => {
    const network = await startDemoNetwork({
      dataDir,
      seed: settings.demoSeed,
      actors: settings.demoActors,
      initialRecords: settings.demoRecords,
      recordsPerSecond: settings.demoRate,
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
