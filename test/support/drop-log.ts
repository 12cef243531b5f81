/** Has the log on a server lose its beginning. */
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import type { NatsServer } from './nats-server.ts';

/** Removes all messages but the last of each slot, as a primary does once no replica needs them. */
export async function dropLog({ url }: NatsServer): Promise<void> {
  const connection = await connect({ servers: url });
  const manager = await jetstreamManager(connection);
  for (const { config } of await manager.streams.list().next()) {
    const { state } = await manager.streams.info(config.name, { subjects_filter: '>' });
    for (const filter of Object.keys(state.subjects ?? {}))
      await manager.streams.purge(config.name, { filter, keep: 1 });
  }
  await connection.close();
}
