# The 80 x 25 text screen of the tiny guest.
#   row 1        title
#   rows 3-10    the desktop's name in letters of half cells, two lines of 13
#   rows 11-17   the user in letters of whole cells (13), or FREE
#   rows 19-21   text, and the line that a person types on
#   rows 23-25   the strip: the same facts for programs. Each cell is one of the 16 console
#                colours, a nibble; two make a byte, high nibble first. Byte 0 is the count n of
#                bytes that follow the second; byte 1 their sum modulo 256; then
#                "DESKTOP TAB STATE TAB USER TAB MARKER" in UTF-8.
function font(   i, n, part, glyphs) {
  glyphs = "A0e11111f111111 B1e11111e11111e C0e11101010110e D1e11111111111e E1f10101e10101f " \
    "F1f10101e101010 G0e11101711110f H1111111f111111 I0e04040404040e J0702020202120c " \
    "K11121418141211 L1010101010101f M111b1515111111 N11191513111111 O0e11111111110e " \
    "P1e11111e101010 Q0e11111115120d R1e11111e141211 S0f10100e01011e T1f040404040404 " \
    "U1111111111110e V11111111110a04 W1111111515150a X11110a040a1111 Y11110a04040404 " \
    "Z1f01020408101f 00e11131519110e 1040c040404040e 20e11010608101f 30e11010601110e " \
    "402060a121f0202 51f101e0101110e 60608101e11110e 71f010204080808 80e11110e11110e " \
    "90e11110f01020c -0000000e000000 .00000000000c0c _0000000000001f"
  n = split(glyphs, part, " ")
  for (i = 1; i <= n; i++) shape[substr(part[i], 1, 1)] = substr(part[i], 2)
}
function hex(text,   i, value) {
  value = 0
  for (i = 1; i <= length(text); i++)
    value = value * 16 + index("0123456789abcdef", substr(text, i, 1)) - 1
  return value
}
# Whether the letter has a dot at line y (0 to 6), column x (0 to 4).
function dot(letter, y, x,   row) {
  if (y > 6 || !(letter in shape)) return 0
  row = hex(substr(shape[letter], 2 * y + 1, 2))
  return int(row / weight[x]) % 2
}
function at(row) { printf "\033[%d;1H", row }
function whole(text, row,   y, x, i, line) {
  for (y = 0; y < 7; y++) {
    line = " "
    for (i = 1; i <= length(text); i++) {
      for (x = 0; x < 5; x++) line = line (dot(substr(text, i, 1), y, x) ? FULL : " ")
      line = line " "
    }
    at(row + y); printf "%s", line
  }
}
function half(text, row,   y, x, i, line, up, down) {
  for (y = 0; y < 8; y += 2) {
    line = " "
    for (i = 1; i <= length(text); i++) {
      for (x = 0; x < 5; x++) {
        up = dot(substr(text, i, 1), y, x)
        down = dot(substr(text, i, 1), y + 1, x)
        line = line (up ? (down ? FULL : UPPER) : (down ? LOWER : " "))
      }
      line = line " "
    }
    at(row + y / 2); printf "%s", line
  }
}
function strip(text, row,   i, c, n, sum, cells) {
  if (length(text) > 118) text = substr(text, 1, 118)
  n = length(text); sum = 0
  for (i = 1; i <= n; i++) {
    c = code[substr(text, i, 1)]
    sum += c
    cells = cells cell[int(c / 16)] cell[c % 16]
  }
  sum = sum % 256
  at(row)
  printf "%s", cell[int(n / 16)] cell[n % 16] cell[int(sum / 16)] cell[sum % 16] cells
}
BEGIN {
  for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i
  FULL = "\342\226\210"; UPPER = "\342\226\200"; LOWER = "\342\226\204"
  # A bright colour sets the intensity, and it stays until 22.
  for (i = 0; i < 8; i++) {
    cell[i] = sprintf("\033[22;%dm%s", 30 + i, FULL)
    cell[i + 8] = sprintf("\033[%dm%s", 90 + i, FULL)
  }
  font()
  split("8 4 2 1", weight, " ")
  weight[0] = 16
  printf "\033[0m\033[?25l\033[2J\033[H\033[44;97m%-80s\033[0m", " Werkplek   desktop " desktop
  big = toupper(desktop)
  printf "\033[36m"
  half(substr(big, 1, 13), 3)
  half(substr(big, 14, 13), 7)
  printf "\033[0m%s", state == "session" ? "\033[92m" : "\033[90m"
  whole(substr(user == "" ? "FREE" : toupper(user), 1, 13), 11)
  printf "\033[0m"
  at(19)
  if (state == "session")
    printf " Session of %s (%s).  Type: write TEXT, logout", user, name
  else if (state == "logged-out") printf " %s has logged out.", user
  else printf " Nobody is here."
  at(20)
  if (marker != "") printf " On the disk: %s", marker
  strip(desktop "\t" state "\t" user "\t" marker, 23)
  printf "\033[0m"
  at(21); printf " > "
}
