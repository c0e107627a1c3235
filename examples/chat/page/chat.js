// The page: the door, the room, and which way leads to it.
import { onCompose } from './composer.js';
import { $ } from './elements.js';
import { cleanName } from './names.js';
import { showRelayView } from './relay-view.js';
import { Room } from './room.js';
import { View } from './view.js';

const WAYS = {
  relay: {
    // Loaded only where it is used: the page of the other way has neither library nor keys.
    load: () => import('./space-over-relay.js'),
    text: 'This page encrypts. Its keys are made in this browser and stay here; the relay forwards what it cannot read.',
  },
  proxy: {
    load: () => import('./space-over-proxy.js'),
    text: 'A proxy on this machine encrypts, and has the keys. This page speaks plain WebSocket with it.',
  },
};

const settings = await (await fetch('/settings.json')).json();
const way = WAYS[settings.way];
const view = new View({ onIn, onEnded });
let room;

const asked = new URLSearchParams(location.search);
$('space').value = asked.get('space') ?? settings.space;
$('name').value = cleanName(asked.get('name') ?? '');
$('way').textContent = way.text;
for (const id of ['name', 'space']) {
  $(id).addEventListener('input', () => showProblem(id, ''));
}
$('enter').addEventListener('submit', event => {
  event.preventDefault();
  void enter();
});
$('enter').querySelector('button').disabled = false;
$('name').focus();

$('leave').addEventListener('click', () => {
  if (room) room.leave();
  else showDoor('You have left.');
});
$('again').addEventListener('click', () => void enter());
$('copy').addEventListener('click', () => void copyLink());
// Who closes the tab has left, where the browser still lets the page say so. Else it counts as a connection that was lost.
addEventListener('pagehide', () => room?.leave());
onCompose({
  say: text => room?.say(text),
  sendFiles: files => void room?.sendFiles(files),
});
showRelayView();

async function enter() {
  const name = cleanName($('name').value);
  const space = $('space').value.normalize('NFC').trim();
  showProblem('space', spaceProblem(space));
  showProblem('name', name === '' ? 'Say what you want to be called.' : '');
  $('entry-problem').textContent = '';
  const wrong = ['name', 'space'].find(id => $(id).ariaInvalid === 'true');
  if (wrong) {
    $(wrong).focus();
    return;
  }
  setEntering(true);
  $('leave').hidden = false;
  history.replaceState(null, '', `?${new URLSearchParams({ space })}`);
  view.begin(space);
  try {
    const { openSpace } = await way.load();
    room = new Room(name, view);
    room.enter(openSpace, { space, url: urlOf(settings.url), relayKey: settings.relayKey });
  } catch (error) {
    onEnded(error.message);
  }
}

function onIn() {
  $('entry').hidden = true;
  for (const id of ['room', 'leave', 'copy', 'skip']) $(id).hidden = false;
  $('again').hidden = true;
  $('text').focus();
}

/** The room is over, or there never was one. `reason`: '' when that is our own doing. */
function onEnded(reason) {
  room = undefined;
  setEntering(false);
  if (reason === '' || $('room').hidden) {
    showDoor(reason === '' ? 'You have left.' : 'Not connected.');
    $('entry-problem').textContent = reason;
    return;
  }
  // What was said stays in sight, until one leaves.
  view.showProblem(`You are not in the room any more. ${reason}`);
  $('again').hidden = false;
}

function showDoor(state) {
  view.forget();
  $('entry').hidden = false;
  for (const id of ['room', 'leave', 'again', 'copy', 'skip']) $(id).hidden = true;
  $('state').className = '';
  $('state').textContent = state;
  $('name').focus();
}

function setEntering(isEntering) {
  for (const control of [...$('enter').elements, $('again')]) control.disabled = isEntering;
}

function showProblem(id, problem) {
  $(id).ariaInvalid = String(problem !== '');
  $(`${id}-problem`).textContent = problem;
}

function spaceProblem(space) {
  if (space === '') return 'Say which room.';
  if (/[/\u0000-\u001f\u007f]/.test(space)) return 'The name of a room has no “/” in it.';
  return new TextEncoder().encode(space).length > 128 ? 'That is too long for the name of a room.' : '';
}

/** '' in the settings: the relay is where the page came from. */
function urlOf(url) {
  return url === '' ? location.origin.replace(/^http/, 'ws') : url;
}

async function copyLink() {
  const link = location.href;
  try {
    await navigator.clipboard.writeText(link);
    view.showNote('The link to this room is copied.');
  } catch {
    view.showNote(`The link to this room: ${link}`);
  }
}
