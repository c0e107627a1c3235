// Where messages are written, and files are chosen, dropped or pasted.
import { $ } from './elements.js';

/** `say(text)` and `sendFiles(files)` are called with what is to be sent. */
export function onCompose({ say, sendFiles }) {
  const text = $('text');
  const composer = $('composer');

  composer.addEventListener('submit', event => {
    event.preventDefault();
    const message = text.value.trim();
    if (message === '') return;
    say(message);
    text.value = '';
    fit();
    text.focus();
  });
  text.addEventListener('keydown', event => {
    // While a word of another script is being composed, Enter chooses it.
    if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    composer.requestSubmit();
  });
  text.addEventListener('input', fit);
  text.addEventListener('paste', event => {
    if (event.clipboardData.files.length === 0) return;
    event.preventDefault();
    sendFiles([...event.clipboardData.files]);
  });

  $('attach').addEventListener('click', () => $('files').click());
  $('files').addEventListener('change', () => {
    sendFiles([...$('files').files]);
    $('files').value = '';
  });
  onDrop(sendFiles);

  /** As tall as what is written, up to what the style allows. */
  function fit() {
    text.style.height = 'auto';
    text.style.height = `${text.scrollHeight + 2}px`;
  }
}

/** The whole room takes files: nobody has to aim. */
function onDrop(sendFiles) {
  const room = $('room');
  const hasFiles = event => event.dataTransfer?.types.includes('Files') ?? false;
  room.addEventListener('dragover', event => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
    $('drop').hidden = false;
  });
  room.addEventListener('dragleave', event => {
    if (!room.contains(event.relatedTarget)) $('drop').hidden = true;
  });
  room.addEventListener('drop', event => {
    $('drop').hidden = true;
    if (!hasFiles(event)) return;
    event.preventDefault();
    sendFiles([...event.dataTransfer.files]);
    $('text').focus();
  });
  // Beside the room, a browser would leave the page and open the file.
  for (const type of ['dragover', 'drop'])
    addEventListener(type, event => hasFiles(event) && event.preventDefault());
}
