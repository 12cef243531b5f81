/** `skyshard ingest`: reads its sources into the log. */
import { Registry } from 'prom-client';
import { isSaidAgain } from '../../base/backoff.ts';
import { isTransient } from '../../base/data-plane-error.ts';
import { seededRandom } from '../../base/seeded-random.ts';
import { type Settings, splitPair } from '../../config/settings.ts';
import { type IngestSource, startIngest } from '../../ingest/ingest-server.ts';
import { requireOwnFolder, requireSameCluster } from '../../ingest/lost-folder.ts';
import { pollResyncs } from '../../ingest/resync-poll.ts';
import { SlotsSeen } from '../../ingest/slots-seen.ts';
import { JetStreamSender } from '../../log/jetstream-sender.ts';
import { RemoteLog } from '../../log/remote-log.ts';
import { mapAtStart } from '../../mapchange/map-store.ts';
import { LabelledCounter } from '../../metrics/metric.ts';
import { registerProcessMetrics } from '../../metrics/process-metrics.ts';
import { parseShardMap, type ShardMap } from '../../shardmap/shard-map.ts';
import type { NodeClient } from '../../wire/node-client.ts';
import { readAccessTokens, readBsyncAccess } from '../access-files.ts';
import type { Command, CommandContext } from '../command.ts';
import { readMapFile } from '../map-file.ts';
import { clusterClient } from '../process/cluster-client.ts';
import { logServerOf } from '../process/log-server.ts';
import { serve } from '../process/server-process.ts';

function sourcesOf({ relay, pds, cursor: startSeq }: Settings): IngestSource[] {
  const pdses = pds.map((given) => {
    const [url, inDocuments] = splitPair(given);
    return { url, startSeq, pds: inDocuments ?? url };
  });
  return [...relay.map((url) => ({ url, startSeq })), ...pdses];
}

/** Returns what sends chunks to the log on a server; null where nodes have it in their folders. */
function senderOf({ settings, clock, log }: CommandContext, map: () => ShardMap): JetStreamSender | null {
  const server = logServerOf(settings, false);
  if (server === null) return null;
  const note = (message: string, fields: Record<string, unknown>): void => log('warn', message, fields);
  return new JetStreamSender({ server, map, clock, random: seededRandom(clock.nowMs()), note });
}

type AppenderParts = {
  readonly registry: Registry;
  readonly caller: NodeClient;
  readonly map: () => ShardMap;
  readonly slotsSeen: SlotsSeen;
  readonly sender: JetStreamSender | null;
};

function appenderOf(
  { settings, clock, log }: CommandContext,
  { registry, caller, map, slotsSeen, sender }: AppenderParts,
): RemoteLog {
  const retries = new LabelledCounter(registry, 'skyshard_appends_retried_total');
  const refusals = new LabelledCounter(registry, 'skyshard_entries_refused_total');
  return new RemoteLog({
    caller,
    map,
    clock,
    lingerMs: settings.lingerMs,
    ...(sender === null ? {} : { server: sender }),
    // A log on a server takes entries for a node that is down.
    beforeCall: (node) => (sender === null ? slotsSeen.require(node) : slotsSeen.requireNoneLost(node)),
    onRetry: (node, error, failures) => {
      retries.with(node, error.code).add();
      const isWarning = !isTransient(error.code) && isSaidAgain(failures);
      const { code, hint } = error;
      log(isWarning ? 'warn' : 'debug', `append is tried again: ${error.message}`, { node, code, hint });
    },
    onRefused: (node, { reason, dids, message }) => {
      refusals.with(node, reason).add();
      log('warn', `an entry is refused for good and passed: ${message}`, { node, reason, did: [...dids].join(' ') });
    },
  });
}

export const runIngest: Command = (context) => {
  const { settings, clock, log } = context;
  return serve(context, 'ingest', async (folder) => {
    const start = mapAtStart(readMapFile(settings.map).raw, folder);
    const map = parseShardMap(start.json);
    const { adminToken, clusterToken, viewToken } = readAccessTokens(settings, map);
    const bsync = readBsyncAccess(settings);
    const registry = new Registry();
    registerProcessMetrics(registry);
    const cluster = clusterClient(context, { role: 'ingest', start, folder }, clusterToken, {
      onLost: (node) => slotsSeen.noteLost(node),
    });
    const { maps, caller } = cluster;
    const slotsSeen = new SlotsSeen({ folder, map: () => maps.map, caller, clock });
    const sender = senderOf(context, () => maps.map);
    const appender = appenderOf(context, { registry, caller, map: () => maps.map, slotsSeen, sender });
    const sources = sourcesOf(settings);
    const note = (message: string, fields: Record<string, unknown>): void => log('info', message, fields);
    try {
      if (sources.length > 0 && settings.cursor === null && !settings.beginAgain.includes('ingest')) {
        await requireOwnFolder({ folder, map: () => maps.map, caller, clock, note });
      }
      requireSameCluster(folder, map.cluster);
    } catch (thrown) {
      await appender[Symbol.asyncDispose]();
      await sender?.[Symbol.asyncDispose]();
      await cluster[Symbol.asyncDispose]();
      throw thrown;
    }
    const ingest = await startIngest({
      folder,
      host: settings.host,
      allowedHosts: settings.allowedHost,
      port: settings.ingestPort,
      sources,
      labelers: settings.labeler,
      verify: { mode: settings.verify, lagMsMax: settings.verifyLagMs, threads: settings.verifyThreads },
      backfillSources: settings.backfillAll,
      handleChecksPerSecond: settings.handleChecksPerSecond,
      appender,
      identity: {
        plcUrl: settings.plcUrl,
        handleResolverUrl: settings.handleResolver,
        allowPrivateHosts: settings.allowPrivateHosts,
      },
      bsync,
      cluster: { caller, map: () => maps.map },
      adminToken,
      viewToken,
      registry,
      clock,
      note,
    });
    const stop = new AbortController();
    const polling = pollResyncs({
      caller,
      map: () => maps.map,
      clock,
      requestResyncs: (repos) => ingest.requestResyncs(repos),
      note: (message, fields) => log('debug', message, fields),
      signal: stop.signal,
    });
    const comparing = slotsSeen.run(stop.signal);
    return {
      listening: { host: settings.host, ports: { port: ingest.port } },
      close: async () => {
        stop.abort();
        await polling;
        await comparing;
        await ingest.close();
        await slotsSeen.compareAll();
        await appender[Symbol.asyncDispose]();
        await sender?.[Symbol.asyncDispose]();
        await cluster[Symbol.asyncDispose]();
      },
    };
  });
};
