# cmake -DFOLDER=cli/report -DOUTPUT=FILE -P report_page.cmake: C source with the page of `holdfast report` as bytes:
# the template with the style and the scripts in it, and with their SHA-256, by which alone a browser lets them act
# (Content-Security-Policy). @TITLE@, @VERSION@ and @DATA@ stay: the program fills them in.

# hf_base64(HEX OUT): the base64 of bytes that are given as hexadecimal digits.
function(hf_base64 hex out)
  set(alphabet "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
  string(LENGTH "${hex}" digits)
  set(text "")
  set(at 0)
  while(at LESS digits)
    string(SUBSTRING "${hex}" ${at} 6 piece)
    string(LENGTH "${piece}" have)
    string(SUBSTRING "${piece}0000" 0 6 piece)
    math(EXPR bits "0x${piece}")
    foreach(shift IN ITEMS 18 12 6 0)
      math(EXPR place "(${bits} >> ${shift}) & 63")
      string(SUBSTRING "${alphabet}" ${place} 1 letter)
      if(have EQUAL 2 AND shift LESS 12 OR have EQUAL 4 AND shift LESS 6)
        set(letter "=")
      endif()
      string(APPEND text "${letter}")
    endforeach()
    math(EXPR at "${at} + 6")
  endwhile()
  set(${out} "${text}" PARENT_SCOPE)
endfunction()

file(READ ${FOLDER}/template.html page)
file(READ ${FOLDER}/style.css style)
set(script "")
foreach(name IN ITEMS text plot group report)
  file(READ ${FOLDER}/${name}.js part)
  string(APPEND script "${part}")
endforeach()
foreach(part IN ITEMS style script)
  if("${${part}}" MATCHES "</|<!--|@[A-Z]+@") # would end the element, or be taken for a place to fill in
    message(FATAL_ERROR "${FOLDER}: the ${part} holds \"${CMAKE_MATCH_0}\"")
  endif()
  string(TOUPPER "${part}" mark)
  string(SHA256 hex "${${part}}")
  hf_base64("${hex}" digest)
  string(REPLACE "@${mark}_SHA256@" "${digest}" page "${page}")
  string(REPLACE "@${mark}@" "${${part}}" page "${page}")
endforeach()

file(WRITE ${OUTPUT}.html "${page}")
file(READ ${OUTPUT}.html hex HEX)
string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${hex}")
file(WRITE ${OUTPUT} "/* Made from cli/report by cmake/report_page.cmake. */
#include \"report_page.h\"

const unsigned char hf_cli_report_template[] = {
${bytes}};
const size_t hf_cli_report_template_bytes = sizeof hf_cli_report_template;
")
