// The keyboard on the glass of a tablet: it types into a hidden field, and what changes there is
// sent to the desktop as keys.

import keysyms from "/novnc/core/input/keysymdef.js";

const BACKSPACE = 0xff08;
const ENTER = 0xff0d;
// Something to erase, so that Backspace changes the field.
const FILL = "_".repeat(64);
const LONG = 512;

export function typeInto(field, sendKey) {
  let before = FILL;
  const refill = () => { field.value = before = FILL; };
  field.addEventListener("focus", refill);
  field.addEventListener("compositionend", refill);
  field.addEventListener("input", (event) => {
    const after = field.value;
    let same = 0;
    while (same < before.length && before[same] === after[same]) same += 1;
    for (const _ of before.slice(same)) sendKey(BACKSPACE);
    for (const letter of after.slice(same)) {
      sendKey(letter === "\n" ? ENTER : keysyms.lookup(letter.codePointAt(0)));
    }
    before = after;
    if (!event.isComposing && (after.length < FILL.length / 2 || after.length > LONG)) refill();
  });
}
