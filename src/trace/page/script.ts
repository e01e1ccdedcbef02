// The page's own script: one walks along with the packet, by buttons, slider or arrow keys, or lets it walk. All else the page does without it.
// It is text for a browser, and what it needs stands in the page: each step is an element with data-step.

export const script = `'use strict';
(() => {
  const $ = (id) => document.getElementById(id);
  const pauseMs = 1100;
  const moveMs = 350;
  const isStill = matchMedia('(prefers-reduced-motion: reduce)');

  const remedy = $('remedy');
  if (remedy) {
    $('copy').hidden = false;
    $('copy').addEventListener('click', async () => {
      const text = remedy.textContent;
      try {
        await navigator.clipboard.writeText(text);
        $('copied').textContent = 'Copied.';
      } catch {
        getSelection().selectAllChildren(remedy);
        $('copied').textContent = 'Selected; copy it with the keyboard.';
      }
    });
  }

  const walker = $('walker');
  if (!walker) return;
  const steps = [...document.querySelectorAll('[data-step]')];
  const [ladder, packet, stage, say, play, seek] = ['ladder', 'packet', 'stage', 'say', 'play', 'seek'].map($);
  let at = 0;
  let timer;
  let swap;

  function barOf(index) {
    for (let each = index; each >= 0; each--) {
      const bar = steps[each].querySelector('.bar');
      if (bar) return bar;
    }
    return steps.map((each) => each.querySelector('.bar')).find(Boolean);
  }

  // what a tunnel adds grows and shrinks in front of what it carries
  function showBar(bar, isJump) {
    clearTimeout(swap);
    const now = bar.cloneNode(true);
    const before = stage.firstElementChild;
    const [outer, was] = [now.querySelector('.outer'), before && before.querySelector('.outer')];
    const isMoved = !isJump && !isStill.matches && before && Boolean(outer) !== Boolean(was);
    if (!isMoved) return stage.replaceChildren(now);
    const width = (each) => getComputedStyle(each.querySelector('.stack')).width;
    const timing = { duration: moveMs, easing: 'ease-in-out' };
    const wide = width(before);
    if (outer) {
      stage.replaceChildren(now);
      now.querySelector('.stack').animate([{ width: wide }, { width: width(now) }], timing);
      outer.animate([{ flexGrow: 0, opacity: 0 }, { flexGrow: getComputedStyle(outer).flexGrow, opacity: 1 }], timing);
    } else {
      stage.append(now);
      const narrow = width(now);
      now.remove();
      before.querySelector('.stack').animate([{ width: wide }, { width: narrow }], timing);
      was.animate([{ flexGrow: getComputedStyle(was).flexGrow, opacity: 1 }, { flexGrow: 0, opacity: 0 }], timing);
      swap = setTimeout(() => stage.replaceChildren(now), moveMs);
    }
  }

  function movePacket(step) {
    const isEnd = step.classList.contains('end');
    const { left, top, width, height } = (isEnd ? step : step.querySelector('.dot')).getBoundingClientRect();
    const box = ladder.getBoundingClientRect();
    packet.hidden = width === 0;
    const [x, y] = [left + (isEnd ? 0 : width / 2) - box.left, top + height / 2 - box.top];
    packet.style.translate = x + 'px ' + y + 'px';
  }

  // below the bar that stands at the top, and not below the window
  function scrollTo(step) {
    const top = walker.getBoundingClientRect().bottom + 16;
    const { top: from, bottom: to } = (step.querySelector('summary') || step).getBoundingClientRect();
    const by = from < top ? from - top : to > innerHeight - 16 ? to - innerHeight + 16 : 0;
    if (by !== 0) scrollBy({ top: by, behavior: isStill.matches ? 'auto' : 'smooth' });
  }

  function show(index, isFirst = false) {
    steps[at].classList.remove('here');
    steps[at].removeAttribute('aria-current');
    const isJump = Math.abs(index - at) > 1;
    at = Math.max(0, Math.min(steps.length - 1, index));
    const step = steps[at];
    step.classList.add('here');
    step.setAttribute('aria-current', 'step');
    const bar = barOf(at);
    if (bar) showBar(bar, isJump);
    packet.classList.toggle('carried', Boolean(bar && bar.querySelector('.outer')));
    packet.classList.toggle('gone', step.classList.contains('end'));
    movePacket(step);
    seek.value = at + 1;
    seek.setAttribute('aria-valuetext', 'step ' + (at + 1) + ' of ' + steps.length);
    $('count').textContent = at + 1 + ' of ' + steps.length;
    say.textContent = step.dataset.say;
    if (!isFirst) scrollTo(step);
  }

  function pause() {
    clearTimeout(timer);
    timer = undefined;
    play.classList.remove('playing');
    play.setAttribute('aria-label', 'Play');
    say.setAttribute('aria-live', 'polite');
  }

  function tick() {
    timer = setTimeout(() => {
      show(at + 1);
      if (at === steps.length - 1) pause();
      else tick();
    }, pauseMs);
  }

  function start() {
    play.classList.add('playing');
    play.setAttribute('aria-label', 'Pause');
    // a screen reader would never come to the end of a step
    say.setAttribute('aria-live', 'off');
    if (at === steps.length - 1) show(0);
    tick();
  }

  function go(index) {
    pause();
    show(index);
  }

  play.addEventListener('click', () => (timer === undefined ? start() : pause()));
  $('first').addEventListener('click', () => go(0));
  $('back').addEventListener('click', () => go(at - 1));
  $('forward').addEventListener('click', () => go(at + 1));
  $('last').addEventListener('click', () => go(steps.length - 1));
  seek.addEventListener('input', () => go(Number(seek.value) - 1));
  document.addEventListener('keydown', (event) => {
    if (event.target === seek || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });

  const open = $('open');
  let isOpen = false;
  open.addEventListener('click', () => {
    isOpen = !isOpen;
    for (const each of document.querySelectorAll('#ladder details')) each.open = isOpen;
    open.textContent = isOpen ? 'Close all' : 'Open all';
  });
  const settle = () => movePacket(steps[at]);
  ladder.addEventListener('toggle', settle, true);
  addEventListener('resize', settle);

  seek.max = steps.length;
  walker.hidden = false;
  packet.hidden = false;
  show(0, true);
})();
`
