// The page's own script: one walks along with the packet, by buttons, slider or arrow keys, or lets it walk. All else the page does without it.
// It is text for a browser, and what it needs stands in the page: each step is an element with data-step.

/** A function of the element that holds a trace's parts; what it returns ends all that it has begun. */
export const walkSource = `(root) => {
  const $ = (id) => root.querySelector('#' + id);
  const ending = new AbortController();
  const on = (target, name, does, isCapture = false) =>
    target.addEventListener(name, does, { signal: ending.signal, capture: isCapture });
  const pauseMs = 1100;
  const moveMs = 350;
  const isStill = matchMedia('(prefers-reduced-motion: reduce)');

  const remedy = $('remedy');
  if (remedy) {
    $('copy').hidden = false;
    on($('copy'), 'click', async () => {
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
  if (!walker) return () => ending.abort();
  const steps = [...root.querySelectorAll('[data-step]')];
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

  on(play, 'click', () => (timer === undefined ? start() : pause()));
  on($('step-first'), 'click', () => go(0));
  on($('step-back'), 'click', () => go(at - 1));
  on($('step-forward'), 'click', () => go(at + 1));
  on($('step-last'), 'click', () => go(steps.length - 1));
  on(seek, 'input', () => go(Number(seek.value) - 1));
  on(document, 'keydown', (event) => {
    // there these keys have another meaning
    if (event.target.closest('input, select, textarea, [role=grid]') || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    go(to);
  });

  const open = $('open');
  let isOpen = false;
  on(open, 'click', () => {
    isOpen = !isOpen;
    for (const each of ladder.querySelectorAll('details')) each.open = isOpen;
    open.textContent = isOpen ? 'Close all' : 'Open all';
  });
  const settle = () => movePacket(steps[at]);
  on(ladder, 'toggle', settle, true);
  on(window, 'resize', settle);

  seek.max = steps.length;
  walker.hidden = false;
  packet.hidden = false;
  show(0, true);
  return () => {
    ending.abort();
    clearTimeout(timer);
    clearTimeout(swap);
  };
}`

export const pageScript = `'use strict';
(${walkSource})(document);
`
