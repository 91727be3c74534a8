load "style.gp"
set title "Saves a second where a flush takes longer"
set xlabel "each flush is longer by"
set ylabel "saves a second"
set xrange [25:6000]
set xtics ("0" 30, "100 us" 100, "1 ms" 1e3, "5 ms" 5e3)
set ytics ("10" 10, "100" 100, "1,000" 1e3, "10,000" 1e4, "100,000" 1e5)
set yrange [10:1e5]
set key outside right center reverse Left samplen 3 spacing 1.3 textcolor rgb "#222222"
# 0 stands at 30: a logarithmic axis has no place for it.
at(x) = x == 0 ? 30 : x
plot "delayed.dat" using (at($1)):6 with linespoints lt 3 title "Redis, 64 threads", \
     "" using (at($1)):2 with linespoints lt 1 title "journal, 64 threads", \
     "" using (at($1)):3 with linespoints lt 2 title "publish, 64 threads", \
     "" using (at($1)):5 with linespoints lt 4 title "LMDB, 64 threads", \
     "" using (at($1)):4 with linespoints lt 5 title "SQLite, 64 threads", \
     "" using (at($1)):11 with linespoints lt 3 dt 3 title "Redis, 1 process", \
     "" using (at($1)):7 with linespoints lt 1 dt 3 title "journal, 1 process", \
     "" using (at($1)):8 with linespoints lt 2 dt 3 title "publish, 1 process", \
     "" using (at($1)):10 with linespoints lt 4 dt 3 title "LMDB, 1 process", \
     "" using (at($1)):9 with linespoints lt 5 dt 3 title "SQLite, 1 process"
