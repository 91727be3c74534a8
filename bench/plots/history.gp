load "style.gp"
set datafile missing "?"
set title "Cost of one call against the length of the history (journal mode)"
set xlabel "snapshots in the store"
set ylabel "time of one call"
set xrange [700:4e7]
set xtics ("1,000" 1e3, "10,000" 1e4, "100,000" 1e5, "1,000,000" 1e6)
set yrange [5:1e8]
set ytics ("10 us" 10, "100 us" 100, "1 ms" 1e3, "10 ms" 1e4, "100 ms" 1e5, "1 s" 1e6, "10 s" 1e7, "100 s" 1e8)
unset key
# Each line is named at its end: its last point that there is.
last(column) = system(sprintf("awk '$1 !~ /^#/ && $%d != \"?\" {x = $1; y = $%d} END {print x, y}' history.dat", column, column))
x_of(column) = real(word(last(column), 1)) * 1.15
y_of(column) = real(word(last(column), 2))
set label 1 "older method: save" at x_of(4), y_of(4) * 1.3 left tc rgb "#D55E00"
set label 2 "older method: prev" at x_of(5), y_of(5) / 1.5 left tc rgb "#B87D00"
set label 3 "Holdfast: save" at x_of(2), y_of(2) left tc rgb "#0072B2"
set label 4 "Holdfast: prev" at x_of(3), y_of(3) left tc rgb "#2B8CC4"
plot "history.dat" using 1:4 with linespoints lt 3, \
     "" using 1:5 with linespoints lt 4, \
     "" using 1:2 with linespoints lt 1, \
     "" using 1:3 with linespoints lt 2
