import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RESUME_WINDOW } from '../../../src/core/constants.js';
import { runs, SLOW } from '../../support/fuzz.js';
import { Resumption } from '../../support/resumption.js';

describe('closing', SLOW, () => {
  it.each(['client', 'service', 'both'])('by the %s while out of reach is done when it is resumed', who => {
    const scene = new Resumption();
    const { ours, theirs } = scene;
    scene.client.send(ours, 'from the client');
    scene.service.send(theirs, 'from the service');
    scene.cutClient();
    if (who !== 'service') scene.client.close(ours, 3001, 'client');
    if (who !== 'client') scene.service.close(theirs, 3002, 'service');
    expect([scene.closed(ours), scene.closed(theirs)]).toEqual([undefined, undefined]);
    scene.newClient();
    scene.goOn();
    expect([scene.messages(ours), scene.messages(theirs)]).toEqual([
      ['from the service'],
      ['from the client'],
    ]);
    const [here, there] = who === 'client' ? [3001, 3001] : who === 'service' ? [3002, 3002] : [3002, 3001];
    expect(scene.closed(ours)).toMatchObject({ code: here, wasClean: true, unacknowledged: [] });
    expect(scene.closed(theirs)).toMatchObject({ code: there, wasClean: true, unacknowledged: [] });
    expect([scene.client.endpoint.channelCount, scene.service.endpoint.channelCount]).toEqual([0, 0]);
  });

  it('is clean at both ends when the link is lost at any moment of it', () => {
    for (const closer of ['client', 'service'] as const) {
      for (let moved = 0; moved < 8; moved++) {
        const scene = new Resumption();
        const { ours, theirs, network } = scene;
        scene[closer].send(closer === 'client' ? ours : theirs, 'last words');
        scene[closer].close(closer === 'client' ? ours : theirs, 3000, 'done');
        network.collect();
        for (let i = 0; i < moved; i++) {
          network.deliver();
          network.collect();
        }
        scene.cutClient();
        scene.newClient();
        if (ours.state !== 'closed') scene.goOn();
        // Who hears that its CLOSE has arrived is done. Who does not may have to wait for a peer that does not come back.
        network.advance(2 * RESUME_WINDOW);
        const where = `${closer}, ${moved}`;
        expect(scene.closed(ours), where).toMatchObject({ code: 3000, wasClean: true });
        expect(scene.closed(theirs), where).toMatchObject({ code: 3000, wasClean: true });
        expect(scene.messages(closer === 'client' ? theirs : ours)).toEqual(['last words']);
        expect(scene.registry.wakeAt).toBe(Infinity);
      }
    }
  });

  it('of a channel that the service has finished is told to a client that asks once more, for the window', () => {
    for (const late of [false, true]) {
      const scene = new Resumption();
      const { ours, theirs, network } = scene;
      scene.service.close(theirs, 3000, 'done');
      // The service hears all; the client does not hear the last acknowledgement.
      let isFinished = false;
      network.fault = packet => {
        isFinished ||= theirs.state === 'closed';
        return packet.from === scene.service && isFinished ? [] : [packet];
      };
      network.run();
      expect([ours.state, theirs.state]).toEqual(['closing', 'closed']);
      scene.cutClient();
      network.fault = packet => [packet];
      network.advance(late ? RESUME_WINDOW + 1 : RESUME_WINDOW - 1);
      scene.newClient();
      scene.goOn();
      // Both have said CLOSE, and nothing that was sent is missing: it is clean, with proof or without.
      expect(scene.closed(ours), `${late}`).toMatchObject({ code: 3000, wasClean: true });
      expect(scene.client.endpoint.channelCount).toBe(0);
    }
  });
});

describe('links that are lost at any moment', SLOW, () => {
  const steps = fc.array(
    fc.oneof(
      {
        weight: 5,
        arbitrary: fc.record({ type: fc.constant('say' as const), up: fc.boolean(), size: fc.nat(60_000) }),
      },
      { weight: 5, arbitrary: fc.record({ type: fc.constant('move' as const), packets: fc.nat(6) }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.nat(4_000) }) },
      { weight: 1, arbitrary: fc.record({ type: fc.constant('drop' as const), packets: fc.nat(4) }) },
      {
        weight: 2,
        arbitrary: fc.record({
          type: fc.constant('cut' as const),
          what: fc.constantFrom('client', 'service', 'both', 'sessions'),
          isTold: fc.boolean(),
          ms: fc.nat(5_000),
        }),
      },
    ),
    { maxLength: 40 },
  );

  it('cost nothing: every message arrives once and in order, both ways', () => {
    fc.assert(
      fc.property(steps, list => {
        const scene = new Resumption({ client: { maxFrame: 33_000 }, service: { maxFrame: 33_000 } });
        const { network, ours, theirs } = scene;
        network.recording = false;
        const said = { up: [] as string[], down: [] as string[] };
        let drop = 0;
        network.fault = packet => (drop-- > 0 ? [] : [packet]);
        const check = () => {
          const [down, up] = [scene.messages(ours), scene.messages(theirs)];
          expect(down).toEqual(said.down.slice(0, down.length));
          expect(up).toEqual(said.up.slice(0, up.length));
        };
        const goOnIfSuspended = () => {
          for (const node of scene.clients) node.drain();
          if (ours.session === undefined && !ours.isResuming)
            scene.client.carryOn(ours, scene.service.anyAddress);
        };
        for (const step of list) {
          switch (step.type) {
            case 'say': {
              const text = `${said.up.length + said.down.length} ${'x'.repeat(step.size)}`;
              if (step.up) scene.client.send(ours, text);
              else scene.service.send(theirs, text);
              said[step.up ? 'up' : 'down'].push(text);
              break;
            }
            case 'move':
              network.collect();
              for (let i = 0; i < step.packets; i++) network.deliver();
              break;
            case 'wait':
              network.advance(step.ms);
              break;
            case 'drop':
              drop = step.packets;
              break;
            case 'cut':
              if (step.what === 'sessions') scene.cutSessions();
              if (step.what === 'client' || step.what === 'both') scene.cutClient(step.isTold);
              if (step.what === 'service' || step.what === 'both') scene.cutService(step.isTold);
              if (step.what === 'service' || step.what === 'both') scene.newService();
              if (step.what === 'client' || step.what === 'both') scene.newClient();
              network.now += step.ms;
          }
          goOnIfSuspended();
          check();
        }
        drop = 0;
        for (let round = 0; round < 12; round++) {
          network.advance(5_000);
          goOnIfSuspended();
        }
        network.advance(20_000);
        expect([ours.state, theirs.state]).toEqual(['open', 'open']);
        expect(scene.messages(ours)).toEqual(said.down);
        expect(scene.messages(theirs)).toEqual(said.up);
        scene.expectWorking();
      }),
      runs(60),
    );
  });
});
