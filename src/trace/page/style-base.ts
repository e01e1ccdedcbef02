// Type and spacing of the page, and all but the ladder.

export const baseStyle = `
*{box-sizing:border-box}
html{font:16px/1.5 var(--sans);background:var(--paper);color:var(--ink);-webkit-text-size-adjust:100%}
body{overflow-wrap:anywhere;margin:0 auto;max-width:84rem;padding:1.5rem clamp(.75rem,3vw,2rem) 3rem}
h1,h2,h3,h4,p,ul,ol,dl,dd{margin:0;padding:0}
ul,ol{list-style:none}
code,pre,.mono{font-family:var(--mono);font-size:.9375em}
h2{font-size:1.25rem;line-height:1.3;font-weight:650}
h3,h4{font-size:1rem;font-weight:650}
.label{font-size:.8125rem;font-weight:600;color:var(--soft)}
a{color:inherit;text-underline-offset:.15em}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px;border-radius:4px}
[hidden]{display:none!important}
.sr{position:absolute;width:1px;height:1px;margin:-1px;overflow:hidden;clip-path:inset(50%);white-space:nowrap}
button{font:inherit;font-size:.875rem;color:inherit;background:var(--card);border:1px solid var(--edge);border-radius:6px;padding:.3rem .7rem;cursor:pointer}
button:hover{background:var(--sunk)}
button svg{display:block;fill:currentColor}

.brand{display:flex;flex-wrap:wrap;justify-content:space-between;gap:0 1rem;font-size:.875rem;color:var(--soft)}
.brand span{font-family:var(--mono)}
h1{display:flex;flex-wrap:wrap;align-items:flex-start;gap:.5rem 1.25rem;margin:.75rem 0 1.25rem;font-size:1.75rem;line-height:1.2;font-weight:650;letter-spacing:-.01em}
.endpoint{display:grid;min-width:0}
.endpoint b{font-weight:650}
.endpoint .role,.endpoint .at{font-size:.875rem;font-weight:400;letter-spacing:0;line-height:1.5;color:var(--soft)}
.to{width:2.25rem;height:1rem;margin-top:1.875rem;flex:none;background:linear-gradient(var(--edge),var(--edge)) left center/calc(100% - 6px) 2px no-repeat;position:relative}
.to::after{content:"";position:absolute;right:0;top:50%;translate:0 -50%;border-left:9px solid var(--edge);border-block:6px solid transparent}

.verdict{display:grid;grid-template-columns:auto minmax(0,1fr);gap:0 1rem;padding:1.125rem 1.25rem;border-radius:10px;border:1px solid;border-left-width:6px}
.verdict.good{color:var(--good);background:var(--good-bg)}.verdict.bad{color:var(--bad);background:var(--bad-bg)}.verdict.unknown{color:var(--unknown);background:var(--unknown-bg)}
.verdict>div{color:var(--ink)}
.verdict>.sign{width:1.75rem;height:1.75rem}
.verdict .why{font-size:1.0625rem;max-width:70ch}
.verdict .problem{margin-top:.375rem;font-size:.875rem}
.remedy{display:grid;grid-template-columns:minmax(0,1fr) auto;gap:.125rem 1rem;align-items:start;margin-top:.875rem;padding:.75rem .875rem;background:var(--card);border-radius:6px}
.remedy h3,.doubts h3{font-size:.875rem;color:var(--soft);grid-column:1/-1}
.remedy p{max-width:76ch}
#copied{grid-column:1/-1;font-size:.875rem;text-align:right}
.doubts{margin-top:.875rem}
.doubts li{padding-left:1.25rem;position:relative}
.doubts li::before{content:"?";position:absolute;left:.25rem;font-weight:700}

.sign{display:inline-block;position:relative;flex:none;width:1.25rem;height:1.25rem;background:currentColor;border-radius:50%}
.sign::before,.sign::after{content:"";position:absolute;background:var(--sign-ink,var(--paper))}
.good>.sign::before{left:25%;top:48%;width:28%;height:12%;rotate:45deg}
.good>.sign::after{left:36%;top:44%;width:46%;height:12%;rotate:-50deg}
.bad>.sign,.dead>.sign,.astray>.sign{border-radius:0;clip-path:polygon(30% 0,70% 0,100% 30%,100% 70%,70% 100%,30% 100%,0 70%,0 30%)}
.bad>.sign::before,.bad>.sign::after,.dead>.sign::before,.dead>.sign::after,.astray>.sign::before,.astray>.sign::after{left:22%;top:44%;width:56%;height:12%}
.bad>.sign::before,.dead>.sign::before,.astray>.sign::before{rotate:45deg}.bad>.sign::after,.dead>.sign::after,.astray>.sign::after{rotate:-45deg}
.unknown>.sign{border-radius:0;clip-path:polygon(50% 0,100% 50%,50% 100%,0 50%)}
.unknown>.sign::before{left:44%;top:24%;width:12%;height:32%}.unknown>.sign::after{left:44%;top:64%;width:12%;height:12%}

.facts{display:flex;flex-wrap:wrap;gap:.25rem 2.5rem;margin:1rem 0 0;padding:0 .25rem}
.facts dt{font-size:.8125rem;color:var(--soft)}
.facts dd{font-variant-numeric:tabular-nums}


.equal{margin:.75rem .25rem 0;font-size:.875rem;color:var(--soft);max-width:90ch}
.tried{margin:1rem .25rem 0;border-collapse:collapse;font-size:.875rem}
.tried caption{text-align:left;color:var(--soft);padding-bottom:.25rem}
.tried th,.tried td{text-align:left;vertical-align:top;padding:.25rem 1.25rem .25rem 0;border-top:1px solid var(--line)}
.tried th{font-weight:600}

.legend{margin-top:2.5rem;padding-top:1.25rem;border-top:1px solid var(--line)}
.legend h2{font-size:1rem}
.legend p{font-size:.875rem;color:var(--soft);max-width:90ch;margin:.25rem 0 .75rem}
.keys{display:flex;flex-wrap:wrap;gap:.375rem 1.25rem;font-size:.875rem}
.key{display:flex;align-items:center;gap:.5rem;position:relative}
.key .dot{position:static;margin:0}
.key .seg{width:1.5rem;height:1rem;min-width:1.5rem;flex:none}
footer{margin-top:1.5rem;font-size:.8125rem;color:var(--soft);max-width:90ch}

@media (max-width:40rem){h1{font-size:1.375rem}.to{display:none}.verdict{display:block;position:relative;padding:.875rem}.verdict>.sign{position:absolute;right:.875rem}.remedy{grid-template-columns:minmax(0,1fr)}.remedy button{justify-self:start}#copied{text-align:left}}
@media print{@page{margin:14mm}html{background:#fff;font-size:12px}body{padding:0;max-width:none}.walker,#copy,#packet{display:none!important}.station.here>details>summary{border-color:transparent;box-shadow:none;background:none}.end.here{outline:none}summary .row::before{visibility:hidden}.station,.end,.remedy,.node{break-inside:avoid-page}*{-webkit-print-color-adjust:exact;print-color-adjust:exact}}
`
