/** A labeler of the network: an account of the PDS whose labels a script signs. */
import { ScriptedLabeler } from '../../support/scripted-labeler.ts';
import type { AtNetwork } from './at-network.ts';
import { OfficialPlane } from './official-plane.ts';
import { type LabelWrite, OfficialOperator } from './operator.ts';
import type { Plane } from './plane.ts';
import type { PrefixedSeedClient } from './prefixed-seed-client.ts';
import { SkyshardPlane } from './skyshard-plane.ts';

/** A label as tests write it; its labeler adds who and when. */
export type LabelFields = Pick<LabelWrite, 'uri' | 'val'> & Partial<LabelWrite>;

export class Labeler implements AsyncDisposable {
  readonly #script: ScriptedLabeler;

  private constructor(script: ScriptedLabeler) {
    this.#script = script;
  }

  /** Makes an account a labeler: its document at the PLC directory gets a key and a service. */
  static async start(network: AtNetwork, seed: PrefixedSeedClient, name: string): Promise<Labeler> {
    const account = { handle: `${name}.test`, email: `${name}@test.com`, password: `${name}-pass` } as const;
    const { did } = await seed.createAccount(name, account);
    const script = await ScriptedLabeler.start(did);
    const { plcClient, plcRotationKey } = network.pds.ctx;
    await plcClient.updateData(did, plcRotationKey, (data) => {
      data.verificationMethods['atproto_label'] = script.key.did();
      data.services['atproto_labeler'] = { type: 'AtprotoLabeler', endpoint: script.url };
      return data;
    });
    return new Labeler(script);
  }

  get did(): string {
    return this.#script.did;
  }

  /** Signs labels and sends them in one message. Returns: once the plane has applied them. */
  async label(plane: Plane, ...labels: readonly LabelFields[]): Promise<void> {
    const cts = new Date().toISOString();
    if (plane instanceof SkyshardPlane) {
      const seq = await this.#script.publish(...labels.map((label) => ({ cts, ...label })));
      await plane.settleLabels(this.did, seq);
    }
    // It follows no labelers: production writes its table from elsewhere.
    if (plane instanceof OfficialPlane) {
      const operator = new OfficialOperator(plane);
      for (const label of labels) await operator.label({ src: this.did, cts, ...label });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#script.close();
  }
}
