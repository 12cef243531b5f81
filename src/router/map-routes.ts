/** Operators' endpoints of the shard map. */
import { getRoute, type JsonRoute, postRoute } from '../http/json-route.ts';
import { type PushBody, pushBody } from '../mapchange/map-push.ts';

export interface MapAdmin {
  show(): Promise<object>;
  push(body: PushBody): Promise<object>;
}

export function mapRoutes(admin: MapAdmin): JsonRoute[] {
  return [getRoute('/v1/map', () => admin.show()), postRoute('/v1/map', pushBody, (body) => admin.push(body))];
}
