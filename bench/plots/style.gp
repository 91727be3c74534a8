# A white page of its own, so that it is read on light and on dark ones.
set terminal svg size 760,480 dynamic enhanced font "Helvetica,Arial,sans-serif,14" background rgb "white"
set border 3 lw 1 lc rgb "#444444"
set tics nomirror textcolor rgb "#222222"
set grid ytics lw 1 lc rgb "#dddddd"
set xlabel textcolor rgb "#222222"
set ylabel textcolor rgb "#222222"
set title textcolor rgb "#222222"
set logscale xy
# Okabe and Ito: also told apart by the colour-blind.
set linetype 1 lc rgb "#0072B2" lw 2.5 pt 7 ps 0.7
set linetype 2 lc rgb "#56B4E9" lw 2.5 pt 7 ps 0.7
set linetype 3 lc rgb "#D55E00" lw 2.5 pt 5 ps 0.7
set linetype 4 lc rgb "#E69F00" lw 2.5 pt 13 ps 0.9
set linetype 5 lc rgb "#009E73" lw 2.5 pt 9 ps 0.8
